// What every fuzz target is written against: one function to define, one to say what must hold. A target is one file in
// targets/ whose first lines say which property it guards besides "does not crash, leak or take longer than a second".
#pragma once

#include <source_location>
#include <string_view>

namespace batchd::fuzz {

/// The target: called with one input after another, in one thread; keeps nothing between two calls.
void check(std::string_view input);

/// Ends the process with a report when a property does not hold; the input that did it is kept by libFuzzer.
void holds(bool property, const char* what, std::source_location where = std::source_location::current());

}  // namespace batchd::fuzz
