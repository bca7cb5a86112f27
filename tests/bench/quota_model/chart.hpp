// A plot of the benchmark: one strip for each scenario, a line for each contender.
#pragma once

#include <string>
#include <vector>

namespace batchd::bench {

struct Line {
  std::string name;
  double mean = 0;
  std::vector<float> by_hour;  ///< from 0 to 1; below 0: there was no backlog
};
struct Strip {
  std::string title;
  std::vector<Line> lines;
};

std::string chart(const std::vector<Strip>& strips, int days);

}  // namespace batchd::bench
