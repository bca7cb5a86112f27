#include "conformance/http_harness.hpp"

#include "runtime/http_client.hpp"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>
#include <thread>

namespace batchd::conformance {
namespace {

using namespace std::chrono_literals;

const char* operation(Verb verb) {
  constexpr std::array names{"upload", "create_batch", "retrieve", "list", "cancel", "file", "download", "delete", "files"};
  return names[static_cast<std::size_t>(verb)];
}

std::string sha256(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    out += digits[digest[i] >> 4];
    out += digits[digest[i] & 15];
  }
  return out;
}

template <int dialect>
std::unique_ptr<ProviderHarness> make() {
  constexpr std::array<std::array<const char*, 2>, 4> dialects{
      {{"azure", "2024-10-21"}, {"azure", "2025-04-01-preview"}, {"azure-v1", ""}, {"openai", ""}}};
  return std::make_unique<HttpHarness>(dialects[dialect][0], dialects[dialect][1]);
}

}  // namespace

std::vector<ProviderCase> http_cases() {
  return {{"azure", make<0>}, {"azure_preview", make<1>}, {"azure_v1", make<2>}, {"openai", make<3>}};
}

void HttpHarness::start(const AccountRules& rules) {
  std::vector<std::string> options{"--fast"};
  const auto add = [&options](const char* name, std::string value) {
    options.emplace_back(name);
    options.push_back(std::move(value));
  };
  // A file of three lines holds some 50 tokens as the simulator counts them.
  if (rules.room != AccountRules::Room::ample) {
    add("--limit", rules.room == AccountRules::Room::none ? "1" : "80");
    add("--quota-mode", rules.late_quota ? "late" : "fast");
  }
  if (rules.slow_files) add("--file-pending", "1h");
  if (rules.unseen_files) add("--file-invisible", "1h");
  if (rules.slow_batches) add("--running", "1h");
  if (rules.unlisted_batches) add("--list-lag", "1h");
  if (rules.max_files > 0) add("--max-files", std::to_string(rules.max_files));
  if (rules.page_size > 0) add("--page-size", std::to_string(rules.page_size));
  if (rules.foreign_batches > 0) add("--foreign", std::to_string(rules.foreign_batches));
  start(std::move(options));
}

void HttpHarness::start(std::vector<std::string> options) {
  sim_.emplace(std::move(options));
  ProviderSettings settings;
  settings.name = "p";
  settings.kind = kind_;
  settings.api_version = api_version_;
  settings.endpoint = sim_->url();
  settings.credential = &credential;
  settings.may_call = [this] { return allowed_; };
  settings.http.idle_timeout = idle_timeout;
  provider_.emplace(std::move(settings), metrics, log_);
}

void HttpHarness::fault(const std::string& json) {
  HttpClient client(*parse_endpoint(sim_->url()), {});
  HttpRequest request;
  request.method = "POST";
  request.target = "/sim/faults";
  request.body = json;
  const HttpResult result = testing::run_task(io_, client.send(request));
  if (!result) throw std::runtime_error(result.error().message);
  if (result->status != 200) throw std::runtime_error(result->body);
}

void HttpHarness::trouble(Verb verb, Trouble trouble) {
  const auto strike = [&](const std::string& members) {
    fault(std::string(R"({"operation":")") + operation(verb) + "\"," + members + "}");
  };
  switch (trouble) {
    case Trouble::lost_before:
      return strike(R"("fault":"reset_before")");
    case Trouble::lost_after:
      return strike(R"("fault":"reset_after")");
    case Trouble::busy_before:
      return strike(R"("fault":"503")");
    case Trouble::busy_after:
      return strike(R"("fault":"500_after")");
    case Trouble::throttled:
      return strike(R"("fault":"429","retry_after":"7")");
    case Trouble::unpaid:
      return strike(R"("fault":"401")");
    case Trouble::denied:
      return strike(R"("fault":"404")");
    case Trouble::cut:
      return strike(R"("fault":"truncate")");
    case Trouble::shortened:
      return strike(R"("fault":"shorten")");
    case Trouble::empty_page:
      return strike(R"("fault":"empty_page")");
  }
}

void HttpHarness::fate(Fate fate) {
  const char* const end = fate == Fate::expires_halfway ? "expired" : "failed";
  fault(std::string(R"({"operation":"create_batch","fault":"fate","fate":{"end":")") + end + R"(","share":0.5}})");
}

void HttpHarness::pass() {
  std::this_thread::sleep_for(5ms);
}

std::string HttpHarness::asking(Ask ask) const {
  constexpr std::array kinds{"", "400", "poison", "poison_silent", "poison_create", "poison_upload"};
  return ask == Ask::nothing ? "" : std::string(R"("user":"sim:)") + kinds[static_cast<std::size_t>(ask)] + "\",";
}

bool HttpHarness::answers(std::string_view response, std::string_view, std::string_view prompt) const {
  return response.find("sha256:" + sha256(prompt)) != std::string_view::npos;
}

}  // namespace batchd::conformance
