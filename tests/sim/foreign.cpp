#include "foreign.hpp"

#include <boost/json/value.hpp>

namespace sim {
namespace {

bool read_count(const boost::json::value& member, std::uint32_t& into) {
  if (!member.is_int64() || member.get_int64() < 0 || member.get_int64() > 100'000) return false;
  into = static_cast<std::uint32_t>(member.get_int64());
  return true;
}

bool read_text(const boost::json::value& member, std::string& into) {
  if (!member.is_string()) return false;
  into = member.get_string();
  return !into.empty();
}

bool read_member(std::string_view key, const boost::json::value& member, ForeignWish& into) {
  if (key == "batches") return read_count(member, into.batches);
  if (key == "files") return read_count(member, into.files);
  if (key == "resource") return read_text(member, into.resource);
  if (key == "model") return read_text(member, into.model);
  if (key == "metadata") return into.metadata = member, member.is_object() || member.is_null();
  if (key == "tokens" && member.is_int64() && member.get_int64() >= 0)
    return into.tokens = static_cast<std::uint64_t>(member.get_int64()), true;
  if (key != "status" || !member.is_string()) return false;
  const auto state = batch_state_named(std::string_view(member.get_string()));
  if (state) into.status = *state;
  return state.has_value();
}

std::string add_file(World& world, const std::string& resource, const std::string& filename, const char* purpose) {
  auto file = std::make_shared<StoredFile>();
  file->id = world.ids.file_id();
  file->resource = resource;
  file->filename = filename;
  file->purpose = purpose;
  file->created = file->processed_at = file->visible_at = now();
  file->foreign = true;
  const auto id = file->id;
  world.files.add(std::move(file));
  return id;
}

}  // namespace

std::optional<std::string> read_foreign(const boost::json::value& value, ForeignWish& into) {
  if (!value.is_object()) return "the body is not a JSON object";
  for (const auto& [key, member] : value.get_object()) {
    if (!read_member(key, member, into)) return "unknown or unusable member '" + std::string(key) + "'";
  }
  return std::nullopt;
}

ForeignMade make_foreign(World& world, const ForeignWish& wish) {
  ForeignMade made;
  const auto keep_file = [&](const std::string& name, const char* purpose) {
    made.files.push_back(add_file(world, wish.resource, name, purpose));
    return made.files.back();
  };
  for (std::uint32_t i = 0; i < wish.files; ++i) keep_file("theirs-" + std::to_string(i) + ".jsonl", "batch");
  for (std::uint32_t i = 0; i < wish.batches; ++i) {
    Batch batch;
    batch.resource = wish.resource;
    batch.dialect = wish.resource.starts_with("openai") ? Dialect::openai : Dialect::azure;
    batch.endpoint = batch.dialect == Dialect::openai ? "/v1/chat/completions" : "/chat/completions";
    batch.metadata = wish.metadata;
    batch.model = wish.model;
    batch.requests = 10;
    batch.tokens = wish.tokens;
    batch.input_file_id = keep_file("theirs.jsonl", "batch");
    if (wish.status == BatchState::completed) {
      batch.completed = batch.requests;
      batch.output_file_id = keep_file("theirs_output.jsonl", "batch_output");
    }
    made.batches.push_back(world.batches.add_foreign(std::move(batch), wish.status, now()).id);
  }
  return made;
}

void note_touch(World& world, const Call& call, bool foreign) {
  if (foreign) world.ledger.violation(std::string(name_of(call.operation)) + ": " + call.id + " belongs to somebody else");
}

}  // namespace sim
