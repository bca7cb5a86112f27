#include "tokens/encoding.hpp"

#include <string>

namespace batchd {
namespace {

/// The bare model: in lower case, without what fine-tuning and a publisher put around it.
std::string bare_model(std::string_view model) {
  std::string name;
  for (const char c : model) name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (name.starts_with("ft:")) name.erase(0, 3);
  if (name.starts_with("openai/")) name.erase(0, 7);
  name.erase(std::min(name.size(), name.find(':')));
  return name;
}

struct ByPrefix {
  std::string_view prefix;
  Encoding encoding;
};

// The first that fits decides.
constexpr ByPrefix encodings[] = {
    {"gpt-4o", Encoding::o200k_base},           {"gpt-4.", Encoding::o200k_base},  // 4.1, 4.5
    {"gpt-4", Encoding::cl100k_base},           {"gpt-3", Encoding::cl100k_base},  // 3.5, Azure's 35
    {"text-embedding-", Encoding::cl100k_base}, {"davinci-002", Encoding::cl100k_base}, {"babbage-002", Encoding::cl100k_base},
};

struct PriceByPrefix {
  std::string_view prefix;
  ImagePrice price;
};

constexpr PriceByPrefix prices[] = {
    {"gpt-4o-mini", {2833, 5667, 0}}, {"gpt-4.1-mini", {0, 0, 1.62}}, {"gpt-4.1-nano", {0, 0, 2.46}},
    {"gpt-5-mini", {0, 0, 1.62}},     {"gpt-5-nano", {0, 0, 2.46}},   {"o4-mini", {0, 0, 1.72}},
    {"gpt-5", {70, 140, 0}},          {"o1", {75, 150, 0}},           {"o3", {75, 150, 0}},
    {"computer-use", {65, 129, 0}},
};

}  // namespace

std::string_view to_string(Encoding encoding) {
  return encoding == Encoding::o200k_base ? "o200k_base" : "cl100k_base";
}

std::optional<Encoding> parse_encoding(std::string_view name) {
  for (const Encoding encoding : {Encoding::o200k_base, Encoding::cl100k_base}) {
    if (name == to_string(encoding)) return encoding;
  }
  return std::nullopt;
}

Encoding encoding_of(std::string_view model) {
  const std::string name = bare_model(model);
  for (const ByPrefix& row : encodings) {
    if (name.starts_with(row.prefix)) return row.encoding;
  }
  return Encoding::o200k_base;
}

bool is_embedding_model(std::string_view model) {
  return bare_model(model).find("embedding") != std::string::npos;
}

ImagePrice image_price_of(std::string_view model) {
  const std::string name = bare_model(model);
  for (const PriceByPrefix& row : prices) {
    if (name.starts_with(row.prefix)) return row.price;
  }
  return {};
}

}  // namespace batchd
