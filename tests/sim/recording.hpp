// What clients sent, a JSON line for each call of the API, for whoever wants to judge it by the providers' documents (--record).
// Of a body the beginning is kept: a form's fields stand before its file, and everything else is short. No key is written down.
#pragma once

#include "http_message.hpp"

#include <string>

namespace sim {

/// A request's body on its way to whoever reads it.
class RecordedBody final : public BodyReader {
 public:
  explicit RecordedBody(BodyReader& body) : body_(body) {}
  Task<std::size_t> read(std::span<char> into) override;
  const std::string& beginning() const { return beginning_; }

 private:
  BodyReader& body_;
  std::string beginning_;
};

/// Appends the call to the file. Throws std::runtime_error when that is impossible.
void record_call(const std::string& file, const RequestHead& head, const std::string& body, int status);

}  // namespace sim
