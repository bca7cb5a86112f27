// Cuts a connection on which an answer is overdue. The server's own time-outs do not help against a server, a pooler or a
// network that keeps the socket open and says nothing more; keepalives and tcp_user_timeout only help when the peer's kernel
// is gone too. Each Database owns one, with a thread of its own; it never touches libpq, only the socket underneath.
#pragma once

#include "core/types.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <thread>

namespace batchd {

/// A second descriptor of a connection's socket: libpq may close its own at any moment, and the number might then be another
/// file's.
class Socket {
 public:
  Socket() = default;
  /// Throws StoreError when there is no descriptor left.
  explicit Socket(int socket);
  ~Socket();
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;

  int number() const { return number_; }
  /// False when the peer has closed the connection meanwhile, or it broke. Asks the kernel only.
  bool open() const;
  /// Ends the connection: whoever waits on it stops waiting.
  void cut() const;

 private:
  int number_ = -1;
};

/// A connection with what keeping and watching it takes.
template <class Connection>
struct Link {
  Connection connection;
  Socket socket;
  std::uint64_t generation = 0;
};

class Watchdog {
 public:
  using Clock = std::chrono::steady_clock;

  Watchdog() = default;
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  friend class Watch;
  struct Entry {
    const Socket* socket = nullptr;
    Clock::time_point deadline;
    bool expired = false;
  };
  void start();
  void run();

  std::mutex lock_;
  std::condition_variable changed_;
  std::list<Entry> entries_;
  Clock::time_point next_look_ = Clock::time_point::max();
  bool stopping_ = false;
  std::thread thread_;  // from the first Watch on
};

/// One connection under watch for the life of the object; its owner says whenever it starts to wait for another answer.
class Watch {
 public:
  Watch(Watchdog& watchdog, const Socket& socket, Milliseconds limit);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// The next answer may take the whole limit again.
  void renew();
  /// Whether the connection was cut.
  bool expired() const;
  Milliseconds limit() const { return limit_; }

 private:
  Watchdog& watchdog_;
  Milliseconds limit_;
  std::list<Watchdog::Entry>::iterator entry_;
};

}  // namespace batchd
