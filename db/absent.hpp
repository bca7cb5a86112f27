// Values that may be absent: NULL in the results of libpqxx and of COPY, and ids of the provider, which are stored as '' until
// they are known. For db/'s own .cpp files; it never decides what an absent value means.
#pragma once

#include "db/bulk.hpp"
#include "db/pqxx_compat.hpp"

#include <optional>
#include <string>
#include <utility>

namespace batchd {

inline std::optional<std::string> maybe_text(const pqxx::field& field) {
  return field.is_null() ? std::nullopt : std::optional(field.as<std::string>());
}

inline std::optional<std::string> maybe_text(const CopyRow& row, std::size_t field) {
  return row.null(field) ? std::nullopt : std::optional<std::string>(row.text(field));
}

template <class Id>
std::string text_of(const std::optional<Id>& id) {
  return id ? id->value : std::string{};
}

template <class Id>
std::optional<Id> remote_id(const pqxx::row& row, const char* column) {
  auto text = row[column].as<std::string>();
  if (text.empty()) return std::nullopt;
  return Id{std::move(text)};
}

}  // namespace batchd
