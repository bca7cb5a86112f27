// Which byte-pair encoding a model counts its tokens by, and what it takes for an image.
#pragma once

#include "core/types.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace batchd {

enum class Encoding : std::uint8_t { o200k_base, cl100k_base };

std::string_view to_string(Encoding encoding);
std::optional<Encoding> parse_encoding(std::string_view name);

/// Models by name, dated and fine-tuned (`ft:gpt-4o:…`) ones and Azure's spellings (`gpt-35-turbo`) included. A name that it does
/// not know, such as a deployment's, counts by what newer models use: o200k_base.
Encoding encoding_of(std::string_view model);

/// True for models whose requests are texts to embed.
bool is_embedding_model(std::string_view model);

/// What an image costs, as published: a base and so much for every tile of 512 × 512 pixels; or patches of 32 × 32 pixels, at
/// most 1536 of them, times a factor.
struct ImagePrice {
  Tokens base = 85;
  Tokens tile = 170;
  double patch = 0;  ///< the factor; 0 for models that go by tiles
};

ImagePrice image_price_of(std::string_view model);

}  // namespace batchd
