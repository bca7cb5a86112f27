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

void check_database(Config& config, const Provenance& given, std::vector<ConfigProblem>& problems);
void check_everything(Config& config, const Provenance& given, const Environment& environment, LoadedConfig& loaded);

}  // namespace batchd
