// A line of the log, whatever the provider's texts in it are: one line, JSON, each field under its key with the value that was
// given, so that nothing that comes over the network can add a field or a line. Input: the event and fields, each as
// FuzzedDataProvider ends a text.
#include "core/json_scan.hpp"
#include "harness.hpp"
#include "log.hpp"
#include "reference_text.hpp"

#include <fuzzer/FuzzedDataProvider.h>

namespace batchd::fuzz {

void check(std::string_view input) {
  FuzzedDataProvider data(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  const std::string error = data.ConsumeRandomLengthString(200);
  const auto shard = data.ConsumeIntegral<std::int64_t>();
  const double seconds = data.ConsumeFloatingPoint<double>();
  const bool truth = data.ConsumeBool();
  const std::string file = data.ConsumeRemainingBytesAsString();
  std::string written;
  int lines = 0;
  Log log(LogLevel::debug, [&](LogLevel, std::string_view, std::initializer_list<LogField>, std::string_view line) {
    written = line;
    ++lines;
  });
  log.info("call.failed", {{"error", error}, {"shard", shard}, {"seconds", seconds}, {"file", file}, {"last", truth}});
  holds(lines == 1 && written.find_first_of("\r\n") == std::string::npos, "one line");
  const Reference read = read_reference(written);
  if (!read.comparable) return;
  holds(read.value && read.value->is_object(), "of JSON");
  const auto& fields = read.value->get_object();
  holds(fields.size() == count_members(written), "each field once");
  holds(fields.at("event") == "call.failed" && fields.at("shard") == shard && fields.at("last") == truth, "with what was given");
  holds(reference_utf8(written), "in UTF-8");
  if (reference_utf8(error)) holds(decode_json_string(*find_member(written, "error")) == error, "texts too");
  if (reference_utf8(file)) holds(decode_json_string(*find_member(written, "file")) == file, "all of them");
}

}  // namespace batchd::fuzz
