// A strict JSON reader that walks a text once without building anything: RFC 8259 and nothing more, valid UTF-8 only, no
// lone surrogates, no carriage returns between tokens. Whoever drives it looks at the members it cares about.
#pragma once

#include <string>
#include <string_view>

namespace sim {

/// A string as it stands between its quotes.
struct RawString {
  std::string_view raw;
  bool escaped = false;  ///< has backslashes, so that its value differs from `raw`

  /// The value; `scratch` holds it when it had to be decoded.
  std::string_view value(std::string& scratch) const;
};

class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()) {}

  /// Each reader returns false at the first fault and then says what and where in `error()`.
  bool skip_value(int depth = 0);
  bool string(RawString& out);
  /// Calls `on_member(key)` for each member; it must read the value and return whether that went well.
  template <class OnMember>
  bool object(OnMember on_member);
  /// Calls `on_element()` for each element, which must read it.
  template <class OnElement>
  bool array(OnElement on_element);
  /// True when nothing but blanks is left.
  bool at_end();

  /// The first byte of the next value, '\0' at the end.
  char peek();
  const char* position() const { return at_; }
  bool fail(const char* reason);
  /// Such as "expected a comma at column 17".
  std::string error() const;
  bool failed() const { return reason_ != nullptr; }

 private:
  void skip_blanks();
  bool expect(char wanted, const char* reason);
  bool literal(std::string_view word);
  bool number();
  bool escape();
  bool hex4(unsigned& value);
  bool utf8();

  const char* begin_;
  const char* at_;
  const char* end_;
  const char* reason_ = nullptr;
};

template <class OnMember>
bool JsonScanner::object(OnMember on_member) {
  if (!expect('{', "expected an object")) return false;
  if (peek() == '}') return ++at_, true;
  for (;;) {
    RawString key;
    if (!string(key) || !expect(':', "expected a colon")) return false;
    if (!on_member(key)) return false;
    const char next = peek();
    if (next == '}') return ++at_, true;
    if (!expect(',', "expected a comma or a closing brace")) return false;
  }
}

template <class OnElement>
bool JsonScanner::array(OnElement on_element) {
  if (!expect('[', "expected an array")) return false;
  if (peek() == ']') return ++at_, true;
  for (;;) {
    if (!on_element()) return false;
    const char next = peek();
    if (next == ']') return ++at_, true;
    if (!expect(',', "expected a comma or a closing bracket")) return false;
  }
}

}  // namespace sim
