// The lines that a batch leaves behind, as text. Pure.
#pragma once

#include "simulation/cloud/files.hpp"

#include <string>
#include <string_view>

namespace batchd::simulation {

/// An answer with status 200 to `custom_id`, marked with what it answers and the run that gave it (mark_of reads it).
void append_answer(std::string& out, std::string_view custom_id, const std::string& model, const InputLine& line,
                   std::size_t run);
/// A response with a status from 400 on.
void append_failure(std::string& out, std::string_view custom_id, int status, std::string_view code);
/// An error without a response: batch_expired, batch_cancelled, request_timeout.
void append_error(std::string& out, std::string_view custom_id, std::string_view code);
/// A status without an answer: 200 or 0, and no body.
void append_empty(std::string& out, std::string_view custom_id, int status);
/// A line that is no answer to anything: blank, no JSON, no object, no custom_id. `kind` from 0 to 3.
void append_dirt(std::string& out, int kind);

}  // namespace batchd::simulation
