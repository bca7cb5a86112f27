// argv -> command -> exit code. Knows every option of every command; the commands themselves lie in files of their own.
#pragma once

namespace batchd {

/// Runs what the command line asks for. Data goes to stdout, talk to stderr; the result is one of cli/commands.hpp's codes.
int run_command_line(int argc, const char* const* argv);

}  // namespace batchd
