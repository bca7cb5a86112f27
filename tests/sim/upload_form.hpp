// The form of an upload (PROTOCOL.md 2.1): its parts as they arrive, the file straight to disk and through the check of
// its lines. The first broken rule decides the answer.
#pragma once

#include "dialect.hpp"
#include "input_check.hpp"
#include "multipart.hpp"
#include "settings.hpp"
#include "spool_file.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace sim {

class UploadForm {
 public:
  UploadForm(const Call& call, const std::string& boundary, const TokenCounter& counter, const Settings& settings);

  void feed(std::string_view bytes) { reader_.feed(bytes); }
  /// Known as soon as a rule is broken; the rest of the body need not be fed then.
  const std::optional<ApiError>& error();
  /// After the last byte: judges what can be judged only then.
  void finish();

  const std::string& filename() const { return filename_; }
  std::optional<std::int64_t> expires_after() const { return expires_seconds_; }
  std::shared_ptr<const SpoolFile> take_file() { return std::move(file_); }
  std::shared_ptr<const InputFacts> take_facts() { return check_.finish(); }

 private:
  void begin(const PartHead& head);
  void data(std::string_view bytes);
  void end();
  void begin_file(const PartHead& head);
  void set_expiry(const std::string& name, const std::string& value);
  bool is_expiry(const std::string& name) const;
  void refuse(ApiError error);
  void refuse(std::string message, std::optional<std::string> param = {}) {
    refuse(ApiError{400, "invalidPayload", std::move(message), std::move(param)});
  }

  const Call& call_;
  InputCheck check_;
  std::shared_ptr<SpoolFile> file_;
  const Settings& settings_;
  MultipartReader reader_;
  std::string part_;
  std::string value_;
  std::set<std::string> seen_;
  std::string purpose_;
  std::string filename_;
  std::optional<std::int64_t> expires_seconds_;
  std::string expires_anchor_;
  std::optional<ApiError> error_;
};

}  // namespace sim
