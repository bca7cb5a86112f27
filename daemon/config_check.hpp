// What can only be judged when everything is read: secrets, what belongs together, names that must exist or be unique.
// Fills in what is derived: secrets from their files, addresses that follow from others.
#pragma once

#include "config.hpp"

#include <map>
#include <string>
#include <vector>

namespace batchd {

/// Where each given key was found, by its path with the table's number: `provider[0].endpoint`.
using Provenance = std::map<std::string, std::string>;

/// The name that a problem gives to the n-th table of an array section: its `name` when it has one, else its number.
std::string table_label(const std::string& name, std::size_t index);

/// A checker's view: what was given where, and a place for problems.
struct Desk {
  const Provenance& given;
  std::vector<ConfigProblem>& problems;

  std::string where(const std::string& path) const;
  void report(const std::string& path, std::string key, std::string found, std::string expected, std::string nearest = {}) const;
};

/// Entra's part of a provider, whose keys are `path` in the provenance (`provider[0].`) and `key` to the operator.
void check_entra(const Desk& desk, ProviderConfig& provider, const std::string& path, const std::string& key,
                 const Environment& environment, std::vector<std::string>& warnings);

/// How a provider's connections leave: proxies, and the certificate to show. To be called when its URLs are known.
void check_connections(const Desk& desk, ProviderConfig& provider, const std::string& path, const std::string& key,
                       const Environment& environment, std::vector<std::string>& warnings);

/// That every price is complete, and that a cap counts everything.
void check_money(const Desk& desk, const Config& config, std::vector<std::string>& warnings);

/// Reports a file that is named and cannot be read.
void check_readable(const Desk& desk, const std::string& path, const std::string& key, const std::string& file);

void check_database(Config& config, const Provenance& given, std::vector<ConfigProblem>& problems);
void check_everything(Config& config, const Provenance& given, const Environment& environment, LoadedConfig& loaded);

}  // namespace batchd
