#include "provider/printable.hpp"

#include <gtest/gtest.h>

namespace batchd::testing {
namespace {

TEST(Printable, CutsLongMessagesBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 400; ++i) text += "\xC3\xA9";
  const std::string message = printable_message("x" + text, "");
  EXPECT_EQ(message.size(), 499u);
  EXPECT_EQ(message.substr(497), "\xC3\xA9");
}

TEST(Printable, NeverRepeatsASecret) {
  EXPECT_EQ(printable_message("bad key topsecret1, really topsecret1", "topsecret1"), "bad key ***, really ***");
  EXPECT_EQ(printable_message("Incorrect API key provided: sk-proj-abcdefgh123.", ""), "Incorrect API key provided: sk-***");
  EXPECT_EQ(printable_message("header was Bearer eyJhbGciOiJSUzI1NiJ9.e30.x and more", ""), "header was Bearer *** and more");
  EXPECT_EQ(printable_message("a task-oriented text", ""), "a task-oriented text");
  EXPECT_EQ(printable_message("of a task- sk-abcdefgh1234", ""), "of a task- sk-***") << "close behind what is none";
}

TEST(Printable, NeverShowsTheBeginningOfASecretWhereALongTextIsCut) {
  for (std::size_t blanks = 1985; blanks <= 2001; ++blanks) {
    EXPECT_EQ(printable_message("said" + std::string(blanks, ' ') + "topsecret1 and more", "topsecret1").find("top"),
              std::string::npos)
        << blanks;
  }
}

TEST(Printable, KeepsLettersOfEveryScriptInTextsOfAnyLength) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "\xE6\xBC\xA2";
  EXPECT_EQ(printable_message(text, "").substr(0, 6), "\xE6\xBC\xA2\xE6\xBC\xA2");
}

TEST(Printable, LeavesNothingThatPostgresqlRefuses) {
  EXPECT_EQ(storable_text("gr\xC3\xBC\xC3\x9F"), "gr\xC3\xBC\xC3\x9F");
  EXPECT_EQ(storable_text("gr\xFC\xDF"), "gr??");
  EXPECT_EQ(storable_text(std::string("a\0b", 3)), "a b");
  EXPECT_EQ(printable_message("<p>Zugriff verweigert f\xFCr\r\n\tSie", ""), "<p>Zugriff verweigert f?r Sie");
}

}  // namespace
}  // namespace batchd::testing
