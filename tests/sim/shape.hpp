// Oddities of rendering: how batches, files and lists may look in reality though the specifications say otherwise
// (PROTOCOL.md 5, 17, deviations.json). They change what a finished reply says and nothing else, and none is on unless asked for.
#pragma once

#include "dialect.hpp"

#include <boost/json/object.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sim {

/// Kept in the form in which it was asked for, which read_shape has found good.
struct Shape {
  boost::json::object rules;
};

/// Reads the JSON form that README.md describes; returns what is wrong with it.
std::optional<std::string> read_shape(const boost::json::value& value, Shape& into);

/// The shapes in force: of everything, and of single batches and files.
struct Shapes {
  Shape all;
  std::map<std::string, Shape> by_id;

  bool none() const { return all.rules.empty() && by_id.empty(); }
};

/// Rewrites the body of a successful reply of this operation; `call` is the shape asked for this one call.
void reshape(Reply& reply, Operation operation, const Shapes& shapes, const Shape& call);

}  // namespace sim
