#include "ledger.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <cstring>

namespace sim {
namespace {

constexpr std::size_t most_violations = 1000;

class ExecutionsSource final : public BodySource {
 public:
  ExecutionsSource(std::shared_ptr<SpoolFile> records, std::function<std::string(std::uint32_t)> batch_id)
      : records_(std::move(records)),
        batch_id_(std::move(batch_id)),
        mapping_(*records_),
        count_(records_->size() / sizeof(ExecutionRecord)) {
    for (std::size_t i = 0; i < count_; ++i) {
      std::string line;
      append(line, i);
      size_ += line.size();
    }
  }

  std::uint64_t size() const override { return size_; }

  void next(std::string& out) override {
    const auto start = out.size();
    for (; at_ < count_ && out.size() - start < 128 * 1024; ++at_) append(out, at_);
  }

 private:
  void append(std::string& out, std::size_t index) const {
    ExecutionRecord record;
    std::memcpy(&record, mapping_.data() + index * sizeof record, sizeof record);
    out += R"({"custom_id":")";
    out.append(record.custom_id_bytes, record.custom_id_size);
    out += R"(","batch_id":")" + batch_id_(record.batch) + R"(","prompt_sha256":")";
    append_hex(out, record.prompt);
    out += R"(","status":)" + std::to_string(record.status) + "}\n";
  }

  std::shared_ptr<SpoolFile> records_;
  std::function<std::string(std::uint32_t)> batch_id_;
  SpoolMapping mapping_;
  std::size_t count_;
  std::uint64_t size_ = 0;
  std::size_t at_ = 0;
};

}  // namespace

Ledger::Ledger(const Settings& settings)
    : light_(settings.light_ledger), executions_(std::make_shared<SpoolFile>(settings.dir)) {}

void Ledger::violation(std::string text) {
  ++violation_count_;
  if (violations_.size() < most_violations) violations_.push_back(std::move(text));
}

void Ledger::file_uploaded(std::uint64_t bytes) {
  ++files_uploaded_;
  bytes_uploaded_ += bytes;
}

void Ledger::executed(std::uint32_t batch, const RequestRecord& record, Outcome outcome, std::uint32_t output_tokens) {
  const int status = status_of(outcome);
  ++executed_;
  if (status == 200) {
    ++answered_;
    input_tokens_ += record.tokens;
    output_tokens_ += output_tokens;
  }
  if (light_) return;
  ids_again_ += ids_.insert(hash_of(record.custom_id())) ? 0 : 1;
  prompts_again_ += prompts_.insert(hash_of(record.prompt)) ? 0 : 1;
  ExecutionRecord kept{};
  kept.prompt = record.prompt;
  std::memcpy(kept.custom_id_bytes, record.custom_id_bytes, sizeof kept.custom_id_bytes);
  kept.batch = batch;
  kept.status = static_cast<std::uint16_t>(status);
  kept.custom_id_size = record.custom_id_size;
  pending_.append(reinterpret_cast<const char*>(&kept), sizeof kept);
  if (pending_.size() > 256 * 1024) flush();
}

void Ledger::flush() {
  executions_->append(pending_);
  pending_.clear();
}

void Ledger::describe(boost::json::object& out) const {
  boost::json::object calls, answers, ended;
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    const auto name = name_of(static_cast<Operation>(i));
    calls[name] = calls_[i];
    boost::json::object codes;
    for (const auto& [status, count] : answers_[i]) codes[std::to_string(status)] = count;
    if (!codes.empty()) answers[name] = std::move(codes);
  }
  for (const auto& [status, count] : ended_) ended[status] = count;
  out["files_uploaded"] = files_uploaded_;
  out["bytes_uploaded"] = bytes_uploaded_;
  out["files_deleted"] = files_deleted_;
  out["inputs_deleted_while_needed"] = inputs_deleted_while_needed_;
  out["batches_created"] = batches_created_;
  out["inputs_used_again"] = inputs_used_again_;
  out["batches_ended"] = std::move(ended);
  out["requests_executed"] = executed_;
  out["requests_answered"] = answered_;
  out["requests_executed_more_than_once"] = ids_again_;
  out["prompts_executed_more_than_once"] = prompts_again_;
  out["input_tokens_billed"] = input_tokens_;
  out["output_tokens_billed"] = output_tokens_;
  out["tokens_billed"] = input_tokens_ + output_tokens_;
  out["calls"] = std::move(calls);
  out["answers"] = std::move(answers);
  out["violation_count"] = violation_count_;
  out["violations"] = boost::json::array(violations_.begin(), violations_.end());
}

std::unique_ptr<BodySource> Ledger::executions(std::function<std::string(std::uint32_t)> batch_id) {
  flush();
  return std::make_unique<ExecutionsSource>(executions_, std::move(batch_id));
}

}  // namespace sim
