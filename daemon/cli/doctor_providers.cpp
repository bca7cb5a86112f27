#include "cli/doctor_providers.hpp"

#include "cli/context.hpp"
#include "cli/provider_calls.hpp"
#include "cli/remote_list.hpp"

#include <chrono>
#include <deque>
#include <functional>

namespace batchd {
namespace {

/// Of a provider's file ceiling: from here on somebody should look.
constexpr std::int64_t nearly_full_percent = 80;
constexpr int tries_of_doctor = 1;

struct Examined {
  const ProviderConfig* config = nullptr;
  Findings findings;
};

Finding judge_files(const std::string& subject, std::int64_t ours, std::int64_t all, std::int64_t ceiling, bool know_ours) {
  std::string sentence = grouped(all) + " of " + grouped(ceiling) + " file slots taken";
  if (know_ours) sentence += ", " + grouped(all - ours) + " of them by files that are not ours";
  if (all >= ceiling) {
    return failure(subject, sentence + ": nothing can be uploaded",
                   "delete files that nobody needs; batchd deletes its own as soon as their answers are stored, unless "
                   "retention.remote_files is keep");
  }
  if (all * 100 >= ceiling * nearly_full_percent) {
    return warning(subject, sentence, "delete files that nobody needs before uploads are refused");
  }
  return fine(subject, sentence);
}

Task<void> count_files(Provider& provider, const DatabaseExamination& database, Examined& out) {
  const std::string subject = "files " + out.config->name;
  const std::int64_t ceiling = provider.limits().max_files;
  if (ceiling == 0) {
    out.findings.push_back(fine(subject, "this kind of provider has no ceiling on their number"));
    co_return;
  }
  std::int64_t all = 0;
  std::int64_t ours = 0;
  const std::string prefix = "batchd-" + database.instance + "-";
  const auto known = database.files.find(out.config->name);
  const bool know_ours = known != database.files.end();
  FileSink sink = [&](const std::vector<RemoteFile>& files) {
    for (const RemoteFile& file : files) {
      ++all;
      if (know_ours && (file.filename.starts_with(prefix) || known->second.contains(file.id.value))) ++ours;
    }
    return all <= ceiling;
  };
  const ListEnd end = co_await each_file(provider, sink, tries_of_doctor);
  if (end.error) {
    const Advice advice = advise(*out.config, *end.error);
    out.findings.push_back(warning(subject, "they cannot be listed: " + advice.what, advice.remedy));
    co_return;
  }
  if (!end.fault.empty()) {
    out.findings.push_back(warning(subject, end.fault, "count them in the provider's portal"));
    co_return;
  }
  out.findings.push_back(judge_files(subject, ours, all, ceiling, know_ours));
}

Task<void> examine(Provider& provider, const DatabaseExamination& database, Examined& out) {
  const std::string subject = "provider " + out.config->name;
  const auto asked = std::chrono::steady_clock::now();
  const auto page = co_await provider.list_batches(std::nullopt);
  if (page.has_error()) {
    const Advice advice = advise(*out.config, page.error());
    out.findings.push_back(advice.passing ? warning(subject, advice.what, advice.remedy)
                                          : failure(subject, advice.what, advice.remedy));
    co_return;
  }
  const auto took = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - asked);
  const auto proxy = endpoint_proxy(*out.config);
  out.findings.push_back(fine(subject, "takes the key, and listed its batches in " + std::to_string(took.count()) + " ms" +
                                           (proxy ? " through proxy " + proxy->shown() : std::string())));
  co_await count_files(provider, database, out);
}

}  // namespace

Findings examine_providers(const Config& config, const DatabaseExamination& database, Milliseconds limit) {
  ProviderCalls calls(config);
  std::deque<Examined> all;
  std::vector<std::function<Task<void>()>> tasks;
  for (const ProviderConfig& provider : config.providers) {
    Examined& one = all.emplace_back();
    one.config = &provider;
    tasks.push_back([&one, &database, port = &calls.at(provider.name)] { return examine(*port, database, one); });
  }
  const auto ends = calls.run(std::move(tasks), limit);
  Findings findings;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool answered = !all[i].findings.empty();
    const std::string subject = (answered ? "files " : "provider ") + all[i].config->name;
    for (Finding& finding : all[i].findings) findings.push_back(std::move(finding));
    if (ends[i].timed_out) {
      const std::string sentence = "no answer within " + std::to_string(limit.count() / 1000) + " s";
      const std::string remedy = "check the endpoint " + all[i].config->endpoint + " and the firewalls on the way, or try again";
      findings.push_back(answered ? warning(subject, sentence, remedy) : failure(subject, sentence, remedy));
    } else if (!ends[i].failure.empty()) {
      findings.push_back(failure(subject, ends[i].failure, "try again; if it stays, this is a fault of batchd"));
    }
  }
  return findings;
}

}  // namespace batchd
