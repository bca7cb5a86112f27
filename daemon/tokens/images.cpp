#include "tokens/images.hpp"

#include "tokens/base64.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace batchd {
namespace {

/// A JPEG's size may come after long descriptions of the camera.
constexpr std::size_t header_bytes = 256 * 1024;

std::uint32_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}
std::uint32_t big16(std::string_view bytes, std::size_t at) {
  return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
}
std::uint32_t little16(std::string_view bytes, std::size_t at) {
  return byte_at(bytes, at) | byte_at(bytes, at + 1) << 8;
}
std::uint32_t little24(std::string_view bytes, std::size_t at) {
  return little16(bytes, at) | byte_at(bytes, at + 2) << 16;
}

/// Walks the segments up to the frame's header.
std::optional<ImageSize> jpeg_size(std::string_view bytes) {
  std::size_t at = 2;
  while (at + 9 <= bytes.size()) {
    if (byte_at(bytes, at) != 0xFF) return std::nullopt;
    const std::uint32_t marker = byte_at(bytes, at + 1);
    if (marker == 0xFF) {
      ++at;
      continue;
    }
    const bool frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (frame) return ImageSize{big16(bytes, at + 7), big16(bytes, at + 5)};
    const bool alone = marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8);
    at += alone ? 2 : 2 + big16(bytes, at + 2);
  }
  return std::nullopt;
}

std::optional<ImageSize> webp_size(std::string_view bytes) {
  if (bytes.size() < 30) return std::nullopt;
  const std::string_view kind = bytes.substr(12, 4);
  if (kind == "VP8X") return ImageSize{little24(bytes, 24) + 1, little24(bytes, 27) + 1};
  if (kind == "VP8 ") return ImageSize{little16(bytes, 26) & 0x3FFF, little16(bytes, 28) & 0x3FFF};
  if (kind != "VP8L") return std::nullopt;
  const std::uint32_t bits = little24(bytes, 21) | byte_at(bytes, 24) << 24;
  return ImageSize{(bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1};
}

std::optional<ImageSize> size_by_format(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG\r\n\x1A\n") && bytes.size() >= 24) {
    return ImageSize{big16(bytes, 16) << 16 | big16(bytes, 18), big16(bytes, 20) << 16 | big16(bytes, 22)};
  }
  if ((bytes.starts_with("GIF87a") || bytes.starts_with("GIF89a")) && bytes.size() >= 10) {
    return ImageSize{little16(bytes, 6), little16(bytes, 8)};
  }
  if (bytes.starts_with("\xFF\xD8")) return jpeg_size(bytes);
  if (bytes.starts_with("RIFF") && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP") return webp_size(bytes);
  return std::nullopt;
}

double patches(double width, double height) {
  constexpr double side = 32;
  constexpr double most = 1536;
  const double all = std::ceil(width / side) * std::ceil(height / side);
  if (all <= most) return all;
  double shrink = std::sqrt(side * side * most / (width * height));
  const double across = width * shrink / side;
  const double down = height * shrink / side;
  shrink *= std::min(std::floor(across) / across, std::floor(down) / down);
  const double fitted = std::ceil(width * shrink / side - 1e-9) * std::ceil(height * shrink / side - 1e-9);
  return std::clamp(fitted, 1.0, most);
}

double tiles(double width, double height) {
  const double fit = std::min(1.0, 2048 / std::max(width, height));
  const double narrow = std::min(1.0, 768 / (std::min(width, height) * fit));
  return std::ceil(width * fit * narrow / 512 - 1e-9) * std::ceil(height * fit * narrow / 512 - 1e-9);
}

}  // namespace

std::optional<ImageSize> image_size(std::string_view bytes) {
  const auto size = size_by_format(bytes);
  return size && size->width > 0 && size->height > 0 ? size : std::nullopt;
}

ImageSize image_size_of_url(std::string_view url) {
  if (!url.starts_with("data:")) return assumed_image;
  const std::size_t comma = url.substr(0, 200).find(',');
  if (comma == std::string_view::npos || !url.substr(0, comma).ends_with("base64")) return assumed_image;
  std::string header;
  decode_base64(url.substr(comma + 1), header, header_bytes);
  return image_size(header).value_or(assumed_image);
}

Tokens image_tokens(const ImagePrice& price, ImageSize size, bool low_detail) {
  const double width = std::max(size.width, 1U);
  const double height = std::max(size.height, 1U);
  if (price.patch > 0) return static_cast<Tokens>(std::ceil(patches(width, height) * price.patch));
  return price.base + (low_detail ? 0 : price.tile * static_cast<Tokens>(std::max(tiles(width, height), 1.0)));
}

}  // namespace batchd
