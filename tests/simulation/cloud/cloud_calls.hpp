// How every call to the fake cloud goes: it may be stopped at the door, and its answer may get lost. For the cloud's own files.
#pragma once

#include "simulation/cloud/cloud.hpp"

namespace batchd::simulation {

template <class T, class Effect>
ProviderResult<T> FakeCloud::call(Effect effect, bool is_create) {
  if (auto stopped = at_the_door(is_create)) return *stopped;
  ProviderResult<T> result = effect();
  if (strikes(CloudFault::no_answer)) return unanswered();
  return result;
}

/// A page from `first` on, in the order of the list. `Entry(index)` appends what the list shows of one entry, if anything, and
/// returns its id when it did.
template <class Page, class Entry>
ProviderResult<Page> FakeCloud::page(const std::optional<std::string>& after, std::size_t count, std::size_t first, Entry entry) {
  if (strikes(CloudFault::page_empty)) {
    return ProviderError{ErrorKind::unknown, 200, "", "an empty page that says has_more", {}};
  }
  Page page;
  if (strikes(CloudFault::page_hollow)) {
    page.next = "+" + after.value_or("");  // the same place by another name
    return page;
  }
  const bool stuck = strikes(CloudFault::page_stuck);
  if (after && strikes(CloudFault::page_repeats)) first -= std::min<std::size_t>(first, 3);
  int shown = 0;
  std::size_t place = first;
  for (; place < count && shown < settings_.page_size; ++place) {
    const std::string* id = entry(page, settings_.newest_first ? count - 1 - place : place);
    if (!id) continue;
    ++shown;
    page.next = *id;
  }
  if (place >= count) page.next.reset();
  if (stuck) page.next = after.value_or("+");
  return page;
}

}  // namespace batchd::simulation
