// What one provider account is like: its rules, its pace, and how much of what can go wrong does.
#pragma once

#include "provider/provider.hpp"
#include "simulation/cloud/faults.hpp"

#include <map>
#include <string>

namespace batchd::simulation {

/// A duration is drawn evenly from here, both ends included.
struct Span {
  Milliseconds least{0};
  Milliseconds most{0};
};

struct CloudSettings {
  static CloudSettings azure_like();
  static CloudSettings openai_like();
  /// `/v1/chat/completions` as lines have to spell it.
  std::string line_url(std::string_view endpoint) const;

  /// `wait_for_processed`: files take `processing` and batches on unready ones are refused; `max_files`: the ceiling.
  ProviderLimits limits;
  std::string url_prefix;       ///< "/v1" or "": before `/chat/completions` in lines
  bool file_list_pages = true;  ///< the list of files comes in pages too
  int page_size = 20;           ///< most entries of a page
  bool newest_first = true;     ///< order of both lists
  Milliseconds clock_skew{0};   ///< of created_at
  std::string instance;         ///< of whoever is tested: what belongs to others is named almost like it
  int foreign_batches = 0;      ///< of others, there from the start, running for ever; each with an input file
  int foreign_files = 0;        ///< and as many files more
  Tokens foreign_tokens = 0;    ///< what others hold of each deployment's quota

  /// Enqueued-token limits of whatever lines name as their model, a deployment or a model; a line for another one fails the batch
  /// with model_not_found. Empty: any name, no limit.
  std::map<std::string, Tokens> deployments;
  double late_quota = 0;  ///< chance that a batch without room is accepted, and failed when it has validated; else refused
  Span release_lag;       ///< a batch that is over still counts for so long when there is no room

  Span processing;    ///< of a file, until it is `processed`
  Span list_lag;      ///< until a new batch can be listed
  Span list_flicker;  ///< and for so long after that, a list may or may not show it
  Span validating{Milliseconds{1'000}, Milliseconds{20'000}};
  Span running{Milliseconds{10'000}, Milliseconds{300'000}};
  Span finalizing{Milliseconds{500}, Milliseconds{10'000}};
  Span cancelling{Milliseconds{500}, Milliseconds{60'000}};

  CloudFaults faults;
  double least_share = 0;  ///< of the lines that run in a batch that expires or fails on the way
  double most_share = 1;
  // how long what goes wrong lasts
  double retry_after_given = 0.7;  ///< chance that a 429 says how long to wait
  Span retry_after{Milliseconds{500}, Milliseconds{30'000}};
  Span outage{Milliseconds{5'000}, Milliseconds{300'000}};
  Span unseen{Milliseconds{500}, Milliseconds{30'000}};
  Span slow_processing{Milliseconds{60'000}, Milliseconds{600'000}};
  Span late_listing{Milliseconds{180'000}, Milliseconds{3'600'000}};
  Span stuck{Milliseconds{600'000}, Milliseconds{7'200'000}};
  Span taken{Milliseconds{1'000}, Milliseconds{600'000}};  ///< when others delete or deny something, after it came to be
};

}  // namespace batchd::simulation
