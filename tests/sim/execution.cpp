#include "execution.hpp"

#include "answers.hpp"

#include <algorithm>
#include <numeric>

namespace sim {
namespace {

class ResultSource final : public BodySource {
 public:
  ResultSource(std::shared_ptr<const Execution> execution, ResultFile file)
      : execution_(std::move(execution)),
        file_(file),
        writer_(*execution_),
        mapping_(*execution_->input->records),
        order_(shuffled(execution_->input->requests, execution_->seed)) {}

  std::uint64_t size() const override { return execution_->bytes(file_); }

  void next(std::string& out) override {
    constexpr std::size_t enough = 128 * 1024;
    const auto* const records = reinterpret_cast<const RequestRecord*>(mapping_.data());
    const auto start = out.size();
    for (; at_ < execution_->listed() && out.size() - start < enough; ++at_) {
      const auto index = order_[at_];
      const auto& record = records[index];
      if (at_ < execution_->executed) {
        writer_.append(out, file_, index, record, execution_->outcome_of(index, record));
      } else {
        writer_.append(out, file_, index, record, execution_->rest == Rest::expired ? Outcome::expired : Outcome::cancelled);
      }
    }
  }

 private:
  std::shared_ptr<const Execution> execution_;
  ResultFile file_;
  AnswerWriter writer_;
  SpoolMapping mapping_;
  std::vector<std::uint32_t> order_;
  std::size_t at_ = 0;
};

}  // namespace

std::uint32_t Execution::listed() const {
  if (rest == Rest::absent) return executed;
  return std::max(executed, input->requests - std::min(lost, input->requests));
}

Outcome Execution::outcome_of(std::uint32_t index, const RequestRecord& record) const {
  if (kind) return only_once(*kind) ? strike_of(*kind) : *kind;
  if (!only_once(record.outcome)) return record.outcome;
  return relented.contains(index) ? Outcome::answered : strike_of(record.outcome);
}

std::unique_ptr<BodySource> result_source(std::shared_ptr<const Execution> execution, ResultFile file) {
  return std::make_unique<ResultSource>(std::move(execution), file);
}

std::vector<std::uint32_t> shuffled(std::uint32_t requests, std::uint64_t seed) {
  std::vector<std::uint32_t> order(requests);
  std::iota(order.begin(), order.end(), 0u);
  std::uint64_t state = seed;
  for (std::uint32_t left = requests; left > 1; --left) {
    state = mix(state);
    std::swap(order[left - 1], order[state % left]);
  }
  return order;
}

}  // namespace sim
