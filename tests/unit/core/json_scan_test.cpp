#include "core/json_scan.hpp"

#include <gtest/gtest.h>

namespace batchd {
namespace {

using namespace std::string_literals;

TEST(JsonScan, AcceptsWhatRfc8259Accepts) {
  for (const char* text : {"null", " true ", "false", "0", "-0", "1.5e+10", "2E3", "\"\"", "\"a\\u00e9\\n\\\"\"", "[]", "{}",
                           "[1, [2, {}], \"x\"]", "{\"a\" : {\"b\":[]} , \"a\":1}", "\t[\n1\r]\n"}) {
    EXPECT_TRUE(valid_json(text)) << text;
  }
}

TEST(JsonScan, RefusesEverythingElse) {
  for (const std::string& text : {""s,
                                  " "s,
                                  "nul"s,
                                  "truex"s,
                                  "01"s,
                                  "1."s,
                                  ".5"s,
                                  "1e"s,
                                  "+1"s,
                                  "- 1"s,
                                  "\"a"s,
                                  "\"\\x\""s,
                                  "\"\\u12g4\""s,
                                  "\"a\nb\""s,
                                  "\"\0\""s,
                                  "[1,]"s,
                                  "[1 2]"s,
                                  "[,1]"s,
                                  "{\"a\"}"s,
                                  "{\"a\":}"s,
                                  "{\"a\":1,}"s,
                                  "{a:1}"s,
                                  "{\"a\":1 \"b\":2}"s,
                                  "[1}"s,
                                  "{} {}"s,
                                  "[1]]"s,
                                  "NaN"s,
                                  "\xEF\xBB\xBF{}"s}) {
    EXPECT_FALSE(valid_json(text)) << text;
  }
}

TEST(JsonScan, NestsToItsLimitAndNoFurther) {
  const std::string deep(max_json_depth, '[');
  EXPECT_TRUE(valid_json(deep + "1" + std::string(max_json_depth, ']')));
  EXPECT_FALSE(valid_json("[" + deep + "1" + std::string(max_json_depth + 1, ']')));
  EXPECT_FALSE(valid_json(std::string(1'000'000, '[')));
}

TEST(JsonScan, FindsSpecialBytesAtEveryPlaceInAWord) {
  for (std::size_t before = 0; before < 20; ++before) {
    const std::string plain(before, 'x');
    EXPECT_TRUE(valid_json("\"" + plain + "\""));
    EXPECT_TRUE(valid_json("\"" + plain + "\\\"\x7f\xff\"")) << before;
    EXPECT_FALSE(valid_json("\"" + plain + "\x1f\"")) << before;
    EXPECT_FALSE(valid_json("\"" + plain + "\" \"")) << before;
  }
}

TEST(JsonScan, ReaderGivesRawMembersInOrder) {
  JsonObjectReader reader(" { \"a\" : 1.50 , \"b\\u0063\":\"x\\ny\", \"o\":{\"a\":[1, 2]} } ");
  JsonMember member;
  ASSERT_TRUE(reader.next(member));
  EXPECT_EQ(member.key, "a");
  EXPECT_EQ(member.value, "1.50");
  ASSERT_TRUE(reader.next(member));
  EXPECT_TRUE(json_key_is(member.key, "bc"));
  EXPECT_EQ(decode_json_string(member.value), "x\ny");
  ASSERT_TRUE(reader.next(member));
  EXPECT_EQ(member.value, "{\"a\":[1, 2]}");
  EXPECT_FALSE(reader.next(member));
  EXPECT_TRUE(reader.ok());
}

TEST(JsonScan, ReaderIsNotOkForAnythingButOneWholeObject) {
  for (const char* text : {"", "[]", "{", "{\"a\":1", "{\"a\":1,}", "{\"a\":1}x", "{\"a\":1 2}", "\"{}\"", "{,}", "{\"a\" 1}"}) {
    JsonObjectReader reader(text);
    JsonMember member;
    while (reader.next(member)) {
    }
    EXPECT_FALSE(reader.ok()) << text;
  }
}

TEST(JsonScan, TheLastOfDuplicateMembersCounts) {
  EXPECT_EQ(find_member("{\"a\":1,\"b\":2,\"a\":3}", "a"), "3");
  EXPECT_EQ(find_member("{\"a\":1}", "b"), std::nullopt);
  EXPECT_EQ(find_member("{\"a\":1", "a"), std::nullopt);
}

TEST(JsonScan, DecodesSurrogatesAndKeepsWhatStandsAlone) {
  EXPECT_EQ(decode_json_string("\"\\ud83d\\ude00\\u00e9\\u0000\""), "\xF0\x9F\x98\x80\xC3\xA9\0"s);
  EXPECT_EQ(decode_json_string("\"\\ud83dx\\ude00\""), "\xEF\xBF\xBDx\xEF\xBF\xBD");
  EXPECT_EQ(decode_json_string("12"), "");
}

TEST(JsonScan, QuoteAndDecodeAreInverse) {
  const std::string text = "a\"b\\c\n\t\x01\x1f é😀 /";
  EXPECT_TRUE(valid_json(json_quote(text)));
  EXPECT_EQ(decode_json_string(json_quote(text)), text);
}

TEST(JsonScan, ReadsOnlyWholeNumbersThatFit) {
  EXPECT_EQ(json_integer("9007199254740993"), 9007199254740993LL);
  EXPECT_EQ(json_integer("-7"), -7);
  for (const char* other : {"", "1.0", "1e3", "\"1\"", "null", "99999999999999999999"})
    EXPECT_EQ(json_integer(other), std::nullopt) << other;
}

TEST(JsonScan, MakesEscapesReadableThatPostgresqlCannotTurnIntoText) {
  EXPECT_EQ(storable_json(R"({"a":"x\u0000y\uD800","\udc00":"\uD83D\uDE00 \ud83d\ud83d\ude00"})"),
            R"({"a":"x\ufffdy\ufffd","\ufffd":"\uD83D\uDE00 \ufffd\ud83d\ude00"})");
  EXPECT_EQ(storable_json(R"("\\u0000 \\\u0000 \n")"), R"("\\u0000 \\\ufffd \n")") << "a backslash may be escaped itself";
  EXPECT_EQ(mended_json(R"("\u0000\ud800")"), R"("\u0000\ufffd")");
  for (const char* broken : {R"("\u)", R"("\u00)", R"("\uzzzz")", R"(\)", R"("\ud800\u)"}) {
    EXPECT_EQ(valid_json(storable_json(broken)), false) << broken;
  }
  EXPECT_TRUE(has_lone_surrogate(R"("\ude00\ud83d")"));
  EXPECT_FALSE(has_lone_surrogate(R"("\u0000\ud83d\ude00 \\ud800")"));
}

TEST(Utf8, AcceptsEveryLengthAtItsBounds) {
  for (const char* text :
       {"", "plain ascii, longer than eight bytes", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
        "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "12345678\xE6\x97\xA5\xE6\x9C\xAC"}) {
    EXPECT_TRUE(valid_utf8(text)) << text;
  }
}

TEST(Utf8, RefusesOverlongSurrogatesAndFragments) {
  for (const char* text : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
                           "\xF5\x80\x80\x80", "\xFF", "\xC3", "\xE6\x97", "\xF0\x9F\x98", "\xC3\x28", "abcdefgh\xC3"}) {
    EXPECT_FALSE(valid_utf8(text)) << text;
  }
}

}  // namespace
}  // namespace batchd
