// What `batchd run` works with, out of flags, environment and an optional file: a provider and the deployments that serve the
// file's models. No file names a provider: then the variables that the official clients read do. Touches no network.
#pragma once

#include "cli/commands.hpp"
#include "config.hpp"
#include "db/run_book.hpp"

#include <string>
#include <vector>

namespace batchd {

/// What `run` sends at most to a deployment whose quota nobody told: what the smaller accounts have.
inline constexpr Tokens run_token_limit_openai = 2'000'000;
inline constexpr Tokens run_token_limit_azure = 50'000'000;

/// Every variable of this process.
Environment whole_environment();

/// The configuration but for the database's address and what follows from the input's models. Throws CommandError with everything
/// that is wrong.
Config run_config(const CommonOptions& common, const RunOptions& options, const Environment& environment);

/// Makes up a deployment for each model of the input, unless the file named deployments: then each model must have one.
/// Throws CommandError when a model has none.
void serve_models(Config& config, const RunOptions& options, const std::vector<ModelUse>& models);

/// The model of bodies that name none, "" when that is an error.
std::string default_model(const RunOptions& options);

}  // namespace batchd
