// A multipart/form-data reader that is fed bytes as they arrive and hands on each part's bytes at once, so that a file is
// never held whole. Strict: what RFC 7578 does not allow is an error with a reason.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace sim {

struct PartHead {
  std::string name;
  std::optional<std::string> filename;
  std::string content_type;  ///< empty when the part has none
};

class MultipartReader {
 public:
  struct Events {
    std::function<void(const PartHead&)> part;
    std::function<void(std::string_view)> data;  ///< of the part announced last
    std::function<void()> end_of_part;
  };

  /// The boundary in a request's Content-Type; nothing when it is not a form.
  static std::optional<std::string> boundary_of(const std::string& content_type);

  MultipartReader(const std::string& boundary, Events events);

  void feed(std::string_view bytes);
  /// True once the closing boundary has been read.
  bool finished() const { return state_ == State::finished; }
  const std::optional<std::string>& error() const { return error_; }

 private:
  enum class State { preamble, after_boundary, head, data, finished, failed };

  bool step();
  bool read_preamble();
  bool read_after_boundary();
  bool read_head();
  bool read_data();
  bool fail(std::string reason);

  Events events_;
  std::string delimiter_;  ///< "\r\n--boundary"
  State state_ = State::preamble;
  std::string held_;       ///< bytes of before that could not be decided upon
  std::string_view rest_;  ///< what is left of held_ or of the bytes being fed
  std::optional<std::string> error_;
};

}  // namespace sim
