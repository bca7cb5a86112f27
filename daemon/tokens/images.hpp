// What an image in a request costs, as an estimate: by the published rules from its size, which is read from its first bytes.
#pragma once

#include "tokens/encoding.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace batchd {

struct ImageSize {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
};

/// What is assumed of an image whose size cannot be told: a URL, or a format or a header that is not known.
inline constexpr ImageSize assumed_image{1024, 1024};

/// From the first bytes of a PNG, JPEG, GIF or WebP file.
std::optional<ImageSize> image_size(std::string_view bytes);

/// From a `data:image/…;base64,…` URL; assumed_image for any other.
ImageSize image_size_of_url(std::string_view url);

/// By tiles: 85 + 170 a tile for most models, the base alone in low detail. The image is made to fit into 2048 × 2048 and then
/// its shorter side into 768, never enlarged. By patches: as many as cover it, at most 1536, times the model's factor.
Tokens image_tokens(const ImagePrice& price, ImageSize size, bool low_detail);

}  // namespace batchd
