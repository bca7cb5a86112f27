#include "db/watchdog.hpp"

#include "db/store.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace batchd {

Socket::Socket(int socket) : number_(::fcntl(socket, F_DUPFD_CLOEXEC, 0)) {
  if (number_ < 0) throw StoreError(std::string("database: no descriptor for a connection: ") + std::strerror(errno));
}

Socket::~Socket() {
  if (number_ >= 0) ::close(number_);
}

Socket::Socket(Socket&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

bool Socket::open() const {
  pollfd look{number_, POLLRDHUP, 0};
  return ::poll(&look, 1, 0) == 0;  // POLLHUP, POLLERR and POLLNVAL come unasked
}

void Socket::cut() const {
  ::shutdown(number_, SHUT_RDWR);
}

Watchdog::~Watchdog() {
  {
    const std::scoped_lock guard(lock_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

/// Signals stay with the threads that were there: a command's main thread waits for some.
void Watchdog::start() {
  if (thread_.joinable()) return;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { run(); });
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Watchdog::run() {
  std::unique_lock guard(lock_);
  while (!stopping_) {
    const auto now = Clock::now();
    next_look_ = Clock::time_point::max();
    for (Entry& entry : entries_) {
      if (entry.expired) continue;
      if (entry.deadline <= now) {
        entry.expired = true;
        entry.socket->cut();
      } else {
        next_look_ = std::min(next_look_, entry.deadline);
      }
    }
    if (next_look_ == Clock::time_point::max()) {
      changed_.wait(guard);
    } else {
      changed_.wait_until(guard, next_look_);
    }
  }
}

Watch::Watch(Watchdog& watchdog, const Socket& socket, Milliseconds limit) : watchdog_(watchdog), limit_(limit) {
  const auto deadline = Watchdog::Clock::now() + limit_;
  const std::scoped_lock guard(watchdog_.lock_);
  watchdog_.start();
  entry_ = watchdog_.entries_.insert(watchdog_.entries_.end(), {&socket, deadline, false});
  if (deadline < watchdog_.next_look_) watchdog_.changed_.notify_one();
}

Watch::~Watch() {
  const std::scoped_lock guard(watchdog_.lock_);
  watchdog_.entries_.erase(entry_);
}

void Watch::renew() {
  const auto deadline = Watchdog::Clock::now() + limit_;
  const std::scoped_lock guard(watchdog_.lock_);
  entry_->deadline = deadline;  // only ever later: the thread need not be told
}

bool Watch::expired() const {
  const std::scoped_lock guard(watchdog_.lock_);
  return entry_->expired;
}

}  // namespace batchd
