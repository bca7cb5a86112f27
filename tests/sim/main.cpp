// batchd-sim: builds the simulator from its command line and runs it until SIGTERM or SIGINT.
#include "http_server.hpp"
#include "self_signed.hpp"
#include "settings.hpp"
#include "simulator.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/ssl/context.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <stdexcept>

namespace {

namespace asio = boost::asio;

/// Every file that the simulator holds is a descriptor.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/// Whoever waits for the file never sees half a number.
void write_port_file(const std::string& path, std::uint16_t port) {
  const std::string draft = path + '.' + std::to_string(getpid());
  std::ofstream out(draft);
  out << port << '\n';
  out.close();
  if (!out || std::rename(draft.c_str(), path.c_str()) != 0)
    throw std::runtime_error("--port-file " + path + ": cannot be written");
}

std::shared_ptr<asio::ssl::context> tls_of(const sim::Settings& settings) {
  if (!settings.tls()) return nullptr;
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  context->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
  if (!settings.tls_self_signed.empty()) {
    sim::use_self_signed(*context, settings.tls_self_signed);
    return context;
  }
  context->use_certificate_chain_file(settings.tls_cert);
  context->use_private_key_file(settings.tls_key, asio::ssl::context::pem);
  return context;
}

sim::TokenCounter counter_of(const sim::Settings& settings) {
  if (settings.count == "exact")
    throw std::invalid_argument(
        "--count exact needs the tokenizer's vocabulary, which is not available in this build; use bytes4 or table");
  if (settings.count == "bytes4") return sim::TokenCounter::bytes4();
  if (settings.token_table.empty()) throw std::invalid_argument("--count table needs --token-table FILE");
  return sim::TokenCounter::table(settings.token_table);
}

void run(const sim::Settings& settings) {
  const auto counter = counter_of(settings);
  sim::skew_clock(settings.clock_skew);
  asio::io_context loop(1);
  sim::Simulator simulator(settings, counter);
  sim::HttpServer server(loop, simulator, settings.bind, settings.port, tls_of(settings));
  asio::signal_set signals(loop, SIGTERM, SIGINT);
  signals.async_wait([&loop](const boost::system::error_code&, int) { loop.stop(); });
  server.start();
  if (!settings.port_file.empty()) write_port_file(settings.port_file, server.port());
  std::cerr << "batchd-sim listens on " << (settings.tls() ? "https://" : "http://") << settings.bind << ':' << server.port()
            << std::endl;
  loop.run();
}

}  // namespace

int main(int argc, char** argv) {
  sim::Settings settings;
  bool go_on = false;
  const int code = sim::read_command_line(argc, argv, settings, go_on);
  if (!go_on) return code;
  raise_descriptor_limit();
  try {
    run(settings);
    return 0;
  } catch (const std::invalid_argument& error) {
    std::cerr << "batchd-sim: " << error.what() << '\n';
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "batchd-sim: " << error.what() << '\n';
    return 1;
  }
}
