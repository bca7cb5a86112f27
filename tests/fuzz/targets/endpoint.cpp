// Where calls go, taken from a URL: an endpoint that is accepted, written out, is the URL that was given; a key in the clear goes
// to this machine only; nothing in it could end a request's first line; a target made from any id leads below its collection.
// Input: the URL; after a line break, an id.
#include "core/endpoint.hpp"
#include "harness.hpp"
#include "provider/dialect.hpp"

#include <arpa/inet.h>

#include <algorithm>

namespace batchd::fuzz {
namespace {

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

bool graphic(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

bool on_this_machine(const std::string& host) {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  return host == "localhost" || host == "::1";
}

/// The URL without what may be left out: slashes at its end, the scheme's own port, brackets around a name.
std::string canonical(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  const auto authority = url.find("://") + 3;
  const auto path = std::min(url.find('/', authority), url.size());
  std::string host = lowered(url.substr(0, path));
  if (const auto open = host.find('['); open != std::string::npos && host.find(':', open) > host.find(']', open)) {
    std::erase_if(host, [](char c) { return c == '[' || c == ']'; });
  }
  const std::string_view port = host.starts_with("https") ? ":443" : ":80";
  if (host.ends_with(port)) host.resize(host.size() - port.size());
  return host + url.substr(path);
}

void check_targets(const Endpoint& endpoint, const std::string& id) {
  for (const char* kind : {"azure", "azure-v1", "openai"}) {
    const Dialect dialect = *find_dialect(kind, "2024-10-21");
    const auto base = resolve_base_path(dialect, endpoint);
    if (!base) continue;
    holds(base->ends_with(dialect.base_path) && base->starts_with(endpoint.path), "a base path is the given one, completed");
    const Account account{dialect, *base, dialect.api_version_required ? "2024-10-21" : "", "", ""};
    const std::string target = batch_target(account, BatchId{id});
    holds(graphic(target) && target.starts_with(*base + "/batches/"), "a target leads below its collection");
    const auto query = std::min(target.find('?'), target.size());
    holds(std::count(target.begin(), target.begin() + static_cast<std::ptrdiff_t>(query), '/') ==
              std::count(base->begin(), base->end(), '/') + 2,
          "one step below it, whatever the id");
  }
}

}  // namespace

void check(std::string_view input) {
  const auto line = input.find('\n');
  const std::string url(input.substr(0, line));
  const std::string id = line == std::string_view::npos ? "id" : std::string(input.substr(line + 1));
  const auto endpoint = parse_endpoint(url);
  if (!endpoint) return holds(!endpoint.error().message.empty(), "a refusal says why");
  const std::string written = endpoint->scheme + "://" + endpoint->authority() + endpoint->path;
  const auto again = parse_endpoint(written);
  holds(again && *again == *endpoint, "an endpoint written out is the same endpoint");
  holds(canonical(written) == canonical(url), "and the URL that was given");
  holds(graphic(written), "nothing in it ends a line");
  holds(endpoint->scheme == "https" || on_this_machine(endpoint->host), "in the clear only to this machine");
  check_targets(*endpoint, id);
}

}  // namespace batchd::fuzz
