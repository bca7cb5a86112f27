#include "simulation/ready.hpp"

namespace batchd::simulation {

ReadyQueue::~ReadyQueue() {
  shutdown();
  destroy();
}

void ReadyQueue::drain() {
  while (!items_.empty()) {
    const std::unique_ptr<Item> next = std::move(items_.front());
    items_.pop_front();
    next->run();
  }
}

}  // namespace batchd::simulation
