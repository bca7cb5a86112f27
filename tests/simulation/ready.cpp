#include "simulation/ready.hpp"

namespace batchd::simulation {

ReadyQueue::~ReadyQueue() {
  shutdown();
  destroy();
}

void ReadyQueue::drain() {
  while (!ready_.empty()) {
    const std::function<void()> next = std::move(ready_.front());
    ready_.pop_front();
    next();
  }
}

}  // namespace batchd::simulation
