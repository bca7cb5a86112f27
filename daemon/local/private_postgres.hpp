// A PostgreSQL of our own for one process: made in a directory on first use, started in about half a second, reached through a
// unix socket only, stopped with us however we end. Made for `batchd run`, which needs a durable queue on machines where nobody
// administers a database. The caller holds a lock on the directory (StateLock), so there is one user of it at a time.
#pragma once

#include "local/child.hpp"
#include "local/postgres_programs.hpp"

#include <functional>
#include <stdexcept>
#include <string>

namespace batchd {

/// There is no server, or it does not start: a sentence that says what to do about it.
class PrivatePostgresError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct PrivatePostgresSettings {
  std::string directory;  ///< holds the data, the socket and the log; made when need be, its parent must be there
  std::string programs;   ///< where `postgres` and `initdb` are; "" to look for them
  std::string path;       ///< this process's PATH
  std::function<void(const std::string&)> say;  ///< hears what takes long
};

class PrivatePostgres {
 public:
  explicit PrivatePostgres(PrivatePostgresSettings settings);
  /// Stops the server, if it runs, in order.
  ~PrivatePostgres();
  PrivatePostgres(const PrivatePostgres&) = delete;
  PrivatePostgres& operator=(const PrivatePostgres&) = delete;

  /// Ends what an earlier process left running, makes the data directory if there is none, and starts the server.
  /// Only from the main thread: the server dies with the thread that started it. Throws PrivatePostgresError.
  void start();
  /// False when the server has ended by itself; `start` may be called again then.
  bool running();
  void stop();

  /// For libpq: the socket, the user and the database.
  std::string url() const;
  const std::string& log_file() const { return log_; }

 private:
  PostgresPrograms choose_programs() const;
  void make_directory();
  void remove_unfinished() const;
  void choose_socket();
  void clean_up();
  void make_data(const PostgresPrograms& programs);
  void launch(const PostgresPrograms& programs);
  bool wait_until_ready();
  std::string status_line() const;
  std::string last_words() const;
  std::optional<UnixUser> runs_as() const;

  PrivatePostgresSettings settings_;
  std::string data_;
  std::string log_;
  std::string socket_;   // the directory it lies in
  std::string cluster_;  // this cluster's name in the titles of its processes
  std::optional<UnixUser> user_;
  pid_t server_ = 0;
};

}  // namespace batchd
