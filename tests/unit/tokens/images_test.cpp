#include "tokens/images.hpp"

#include "support/vocabularies.hpp"

#include <gtest/gtest.h>

#include <string>

namespace batchd {

bool operator==(const ImageSize& a, const ImageSize& b) {
  return a.width == b.width && a.height == b.height;
}

namespace {

using namespace std::string_literals;

const std::string png = "\x89PNG\r\n\x1A\n\0\0\0\x0DIHDR\0\0\x04\0\0\0\x02\x80"s;
const std::string gif = "GIF89a\x40\x01\xF0\0more"s;
const std::string jpeg = "\xFF\xD8\xFF\xE0\0\x06JFIF\xFF\xFF\xC2\0\x11\x08\x03\0\x04\x01\x03"s;
const std::string webp_x = "RIFF\0\0\0\0WEBPVP8X\x0A\0\0\0\0\0\0\0\xFF\x03\0\x7F\x02\0"s;
const std::string webp_lossy = "RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9D\x01\x2A\x40\x01\xF0\x40"s;
const std::string webp_lossless = "RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2F\x3F\xC1\x3B\0\0\0\0\0\0"s;

TEST(Images, SizesAreReadFromHeaders) {
  EXPECT_EQ(image_size(png), (ImageSize{1024, 640}));
  EXPECT_EQ(image_size(gif), (ImageSize{320, 240}));
  EXPECT_EQ(image_size(jpeg), (ImageSize{1025, 768}));
  EXPECT_EQ(image_size(webp_x), (ImageSize{1024, 640}));
  EXPECT_EQ(image_size(webp_lossy), (ImageSize{320, 240}));
  EXPECT_EQ(image_size(webp_lossless), (ImageSize{320, 240}));
  for (const std::string& whole : {png, gif, jpeg, webp_x, webp_lossy, webp_lossless}) {
    for (std::size_t length = 0; length < 10; ++length) EXPECT_EQ(image_size(whole.substr(0, length)), std::nullopt);
  }
}

TEST(Images, WhatCannotBeToldIsAssumed) {
  EXPECT_EQ(image_size_of_url("data:image/png;base64," + test::base64_of(png)), (ImageSize{1024, 640}));
  for (const char* url : {"https://example.com/cat.png", "", "data:", "data:image/png;base64,", "data:image/png,abc",
                          "data:image/png;base64,AAAA"}) {
    EXPECT_EQ(image_size_of_url(url), assumed_image) << url;
  }
}

TEST(Images, CostWhatIsPublished) {
  const ImagePrice gpt4o = image_price_of("gpt-4o-2024-08-06");
  EXPECT_EQ(image_tokens(gpt4o, {1024, 1024}, false), 765);
  EXPECT_EQ(image_tokens(gpt4o, {2048, 4096}, false), 1105);
  EXPECT_EQ(image_tokens(gpt4o, {4096, 8192}, true), 85);
  EXPECT_EQ(image_tokens(gpt4o, {512, 512}, false), 255);
  EXPECT_EQ(image_tokens(image_price_of("gpt-4o-mini"), {512, 512}, false), 2833 + 5667);
  EXPECT_EQ(image_tokens(image_price_of("gpt-4o-mini"), {512, 512}, true), 2833);
  EXPECT_EQ(image_tokens(image_price_of("o1"), {1024, 1024}, false), 75 + 4 * 150);
  EXPECT_EQ(image_tokens(image_price_of("gpt-5"), {1024, 1024}, false), 70 + 4 * 140);
  EXPECT_EQ(image_tokens({0, 0, 1}, {1024, 1024}, false), 1024);
  EXPECT_EQ(image_tokens({0, 0, 1}, {1800, 2400}, false), 1452);  // the documents' own example
  EXPECT_EQ(image_tokens(image_price_of("gpt-4.1-mini"), {1024, 1024}, false), 1659);
  EXPECT_GT(image_tokens(gpt4o, {0, 4'000'000'000}, false), 0);
  EXPECT_GT(image_tokens({0, 0, 1}, {1, 4'000'000'000}, false), 0);
}

}  // namespace
}  // namespace batchd
