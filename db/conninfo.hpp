// Turns the configured URL into what libpq gets: the same, plus time-outs, a name and the wish for a server that can be written
// to, where it says nothing of them (several hosts may be named: the one that is no standby is taken, whichever that is today).
// It never lets the URL, which may hold a password, into an error.
#pragma once

#include "core/types.hpp"

#include <string>

namespace batchd {

/// Throws std::invalid_argument, without repeating any part of `url`, when libpq cannot read it.
std::string make_conninfo(const std::string& url, Milliseconds connect_timeout);

/// The first line of a database error, without what could be a row's content; never empty.
std::string first_line(const std::string& message);

/// Why there is no connection: libpq's first line, or one for each host that was tried.
std::string connect_failure(const std::string& message);

}  // namespace batchd
