// The Files API: upload, list, get, content, delete (PROTOCOL.md 2).
#pragma once

#include "world.hpp"

namespace sim {

class FileCalls {
 public:
  explicit FileCalls(World& world) : world_(world) {}

  Task<Reply> upload(const Context& context, const RequestHead& head, BodyReader& body);
  Reply list(const Context& context, const RequestHead& head);
  Reply get(const Context& context);
  Reply content(const Context& context);
  Reply erase(const Context& context);

 private:
  Reply keep(const Context& context, class UploadForm& form, const RequestHead& head);
  Reply missing(const Context& context) const;

  World& world_;
};

}  // namespace sim
