#include "upload_form.hpp"

#include "world.hpp"

namespace sim {

UploadForm::UploadForm(const Call& call, const std::string& boundary, const TokenCounter& counter, const Settings& settings)
    : call_(call),
      check_(counter, settings.strict, settings.dir),
      file_(std::make_shared<SpoolFile>(settings.dir)),
      settings_(settings),
      reader_(boundary, {[this](const PartHead& head) { begin(head); }, [this](std::string_view bytes) { data(bytes); },
                         [this] { end(); }}) {}

void UploadForm::refuse(ApiError error) {
  if (!error_) error_ = std::move(error);
}

const std::optional<ApiError>& UploadForm::error() {
  if (reader_.error()) refuse("Malformed form: " + *reader_.error());
  return error_;
}

bool UploadForm::is_expiry(const std::string& name) const {
  if (call_.dialect == Dialect::azure && !call_.dated_preview()) return false;
  const bool bracketed = name == "expires_after[anchor]" || name == "expires_after[seconds]";
  const bool dotted = name == "expires_after.anchor" || name == "expires_after.seconds";
  if (!call_.azure()) return bracketed;
  const auto& fields = settings_.expiry_fields;
  return (bracketed && fields != "dotted") || (dotted && fields != "bracketed");
}

void UploadForm::begin(const PartHead& head) {
  part_ = head.name;
  value_.clear();
  if (!seen_.insert(part_).second) return refuse("The form has two parts named '" + part_ + "'.", part_);
  if (part_ == "file") return begin_file(head);
  if (part_ != "purpose" && !is_expiry(part_) && settings_.strict) refuse("Unknown form field '" + part_ + "'.", part_);
}

void UploadForm::begin_file(const PartHead& head) {
  filename_ = head.filename.value_or("");
  if (!filename_.ends_with(".jsonl") && !settings_.accepts("filename"))
    refuse("Invalid file format for Batch API. Must be .jsonl", "file");
  if (call_.azure() && head.content_type.empty() && !settings_.accepts("content-type")) {
    refuse("The file has no or an empty content type; a Content-Type such as application/json is required on the file part.",
           "file");
  }
}

void UploadForm::data(std::string_view bytes) {
  if (error_) return;
  if (part_ != "file") {
    value_.append(bytes);
    if (value_.size() > 1024) refuse("Form field '" + part_ + "' is too long.", part_);
    return;
  }
  if (file_->size() + bytes.size() > settings_.max_upload) {
    return refuse({413, "invalidPayload",
                   "The file is larger than the maximum of " + std::to_string(settings_.max_upload) + " bytes.", "file"});
  }
  file_->append(bytes);
  check_.feed(bytes);
}

void UploadForm::end() {
  if (error_ || part_ == "file") return;
  if (part_ == "purpose") purpose_ = value_;
  if (is_expiry(part_)) set_expiry(part_, value_);
}

void UploadForm::set_expiry(const std::string& name, const std::string& value) {
  if (name.find("anchor") != std::string::npos) {
    expires_anchor_ = value;
    if (value != "created_at") refuse("expires_after anchor must be created_at.", name);
    return;
  }
  const auto least = least_expiry(call_, settings_);
  expires_seconds_ = whole_number(value, least, 2'592'000);
  if (!expires_seconds_)
    refuse("expires_after seconds must be a whole number between " + std::to_string(least) + " and 2592000.", name);
}

void UploadForm::finish() {
  if (error()) return;
  if (!reader_.finished()) return refuse("The form ends before its closing boundary.");
  if (!seen_.contains("purpose")) return refuse("The form lacks the field 'purpose'.", "purpose");
  if (!seen_.contains("file")) return refuse("The form lacks the field 'file'.", "file");
  if (purpose_ != "batch") return refuse("'" + purpose_ + "' is not one of the purposes supported here: batch.", "purpose");
  if (expires_seconds_.has_value() == expires_anchor_.empty())
    refuse("expires_after needs both an anchor and seconds.", "expires_after");
}

}  // namespace sim
