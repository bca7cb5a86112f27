#include "spool/spool.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include <unistd.h>

namespace batchd {
namespace {

class SpoolTest : public testing::Test {
 protected:
  SpoolTest() {
    std::string name = (std::filesystem::temp_directory_path() / "batchd-spool-XXXXXX").string();
    state_ = ::mkdtemp(name.data());
  }
  ~SpoolTest() override { std::filesystem::remove_all(state_); }
  std::filesystem::path state_;
};

std::string contents(const std::filesystem::path& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

TEST_F(SpoolTest, AFileHoldsWhatWasAppendedAndVanishesWithItsObject) {
  Spool spool(state_, 1 << 20);
  std::filesystem::path path;
  {
    ScratchFile file = *spool.open(10);
    path = file.path();
    const std::string big(600'000, 'b');
    file.append("a\n");
    file.append(big);
    file.append("\nc\n");
    file.flush();
    EXPECT_EQ(file.size(), 600'005);
    EXPECT_EQ(contents(path), "a\n" + big + "\nc\n");
    file.rewind();
    std::string back;
    for (auto bytes = file.read_some(); !bytes.empty(); bytes = file.read_some()) back += bytes;
    EXPECT_EQ(back.size(), 600'005u);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(SpoolTest, WhatIsShortIsReadBackWithoutAFile) {
  Spool spool(state_, 1 << 20);
  ScratchFile file = *spool.open(0);
  file.append("a\n");
  file.append("b\n");
  ScratchFile moved = std::move(file);
  moved.rewind();
  EXPECT_EQ(moved.read_some(), "a\nb\n");
  EXPECT_EQ(moved.read_some(), "");
  EXPECT_FALSE(std::filesystem::exists(moved.path()));
  ScratchFile empty = *spool.open(0);
  empty.rewind();
  EXPECT_EQ(empty.read_some(), "");
}

TEST_F(SpoolTest, APieceAsLongAsTheBufferIsReadBack) {
  Spool spool(state_, 1 << 20);
  ScratchFile file = *spool.open(0);
  const std::string whole(256 * 1024, 'w');
  file.append(whole);
  file.rewind();
  EXPECT_EQ(file.read_some(), whole);
  EXPECT_EQ(file.read_some(), "");
}

TEST_F(SpoolTest, TheBudgetIsKeptButOneFileAlwaysGetsThrough) {
  Spool spool(state_, 1000);
  auto huge = spool.open(5000);
  ASSERT_TRUE(huge);
  EXPECT_FALSE(spool.open(1));
  huge.reset();
  const auto first = spool.open(600);
  EXPECT_FALSE(spool.open(600));
  EXPECT_TRUE(spool.open(400));
}

TEST_F(SpoolTest, GrowthBeyondTheEstimateIsCountedAndGivenBack) {
  Spool spool(state_, 1000);
  {
    auto file = spool.open(10);
    file->append(std::string(999, 'x'));
    EXPECT_FALSE(spool.open(10));
  }
  EXPECT_TRUE(spool.open(1000));
}

TEST_F(SpoolTest, LeftoversOfDeadProcessesAreRemovedAndLivingOnesStay) {
  std::filesystem::create_directories(state_ / "scratch-999999999-abcdef");
  std::filesystem::create_directories(state_ / ("scratch-" + std::to_string(::getpid()) + "-living"));
  std::filesystem::create_directories(state_ / "something-else");
  const Spool spool(state_, 1000);
  EXPECT_FALSE(std::filesystem::exists(state_ / "scratch-999999999-abcdef"));
  EXPECT_TRUE(std::filesystem::exists(state_ / ("scratch-" + std::to_string(::getpid()) + "-living")));
  EXPECT_TRUE(std::filesystem::exists(state_ / "something-else"));
}

TEST_F(SpoolTest, AnUnusableStateDirectoryIsNamed) {
  std::ofstream(state_ / "file") << "x";
  try {
    const Spool spool(state_ / "file", 1000);
    FAIL() << "a file is no state directory";
  } catch (const SpoolError& error) {
    EXPECT_NE(std::string(error.what()).find((state_ / "file").string()), std::string::npos);
  }
}

// Lines -------------------------------------------------------------------------------------------------------------------
std::vector<std::string> split(const std::string& text, std::size_t step, std::size_t max_line = 100) {
  LineSplitter splitter(max_line);
  std::vector<std::string> lines;
  const auto keep = [&](const LineSplitter::Line& line) { lines.push_back(line.too_long ? "TOO LONG" : std::string(line.text)); };
  for (std::size_t at = 0; at < text.size(); at += step) splitter.feed(std::string_view(text).substr(at, step), keep);
  splitter.end(keep);
  return lines;
}

TEST(LineSplitter, GivesTheSameLinesHoweverTheBytesArrive) {
  const std::string text = "one\r\n\ntwo\nthree is longer\n" + std::string(150, 'x') + "\nlast without newline";
  const std::vector<std::string> expected{"one", "", "two", "three is longer", "TOO LONG", "last without newline"};
  for (std::size_t step = 1; step <= text.size(); ++step) EXPECT_EQ(split(text, step), expected) << step;
}

TEST(LineSplitter, AnEmptyStreamHasNoLines) {
  EXPECT_TRUE(split("", 1).empty());
  EXPECT_EQ(split("\n", 1), std::vector<std::string>{""});
}

TEST(LineSplitter, AnEndlessLineCostsNoMemoryAndIsToldOnce) {
  EXPECT_EQ(split(std::string(5000, 'x'), 7), std::vector<std::string>{"TOO LONG"});
}

}  // namespace
}  // namespace batchd
