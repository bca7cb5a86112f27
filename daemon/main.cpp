#include "cli/command_line.hpp"

int main(int argc, char** argv) {
  return batchd::run_command_line(argc, argv);
}
