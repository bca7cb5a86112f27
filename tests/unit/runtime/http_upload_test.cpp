#include "runtime/http_client.hpp"
#include "runtime/multipart.hpp"
#include "support/run_task.hpp"
#include "support/scripted_server.hpp"
#include "support/temp_dir.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <fstream>
#include <thread>

namespace batchd::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view ok_answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

HttpRequest upload_of(const std::filesystem::path& path) {
  HttpRequest request;
  request.method = "POST";
  request.target = "/files";
  FileUpload body;
  body.fields.emplace_back("purpose", "batch");
  body.path = path;
  body.filename = "a.jsonl";
  body.content_type = "application/json";
  request.body = std::move(body);
  return request;
}

/// A figure of /proc/self/status in KiB, such as VmRSS.
long memory_kib(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return std::stol(line.substr(name.size() + 1));
  }
  return 0;
}

TEST(Multipart, FramesOneFileAfterItsFields) {
  const MultipartFrame frame = make_multipart({{"purpose", "batch"}}, "file", "a.jsonl", "application/json", "B");
  EXPECT_EQ(frame.content_type, "multipart/form-data; boundary=B");
  EXPECT_EQ(
      frame.head,
      "--B\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
      "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\nContent-Type: application/json\r\n\r\n");
  EXPECT_EQ(frame.tail, "\r\n--B--\r\n");
}

TEST(Multipart, LetsNoNameEndItsOwnQuotes) {
  const MultipartFrame frame = make_multipart({}, "file", "a\"; x=\"\r\n.jsonl", "application/json", "B");
  EXPECT_THAT(frame.head, HasSubstr("filename=\"a%22; x=%22%0D%0A.jsonl\"\r\n"));
}

class HttpUploadTest : public ::testing::Test {
 protected:
  HttpResult send(const ScriptedServer& server, const HttpRequest& request, HttpClientOptions options = {}) {
    HttpClient client(*parse_endpoint("http://127.0.0.1:" + std::to_string(server.port())), std::move(options));
    return run_task(io_, client.send(request));
  }
  asio::io_context io_;
  TempDir dir_;
};

TEST_F(HttpUploadTest, AnnouncesTheExactLengthAndSendsTheFileUnchanged) {
  const std::string content = "{\"custom_id\":\"1\"}\n{\"custom_id\":\"\xC3\xA9\"}\n";
  const auto file = dir_.write("in.jsonl", content);
  std::string seen;
  std::string beyond;
  {
    const ScriptedServer server([&](Peer& peer, int) {
      seen = peer.read_request();
      peer.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
      beyond = peer.read(1);
    });
    ASSERT_TRUE(send(server, upload_of(file)));
  }
  const auto body = seen.substr(seen.find("\r\n\r\n") + 4);
  const auto boundary_at = seen.find("boundary=") + 9;
  const std::string boundary = seen.substr(boundary_at, seen.find("\r\n", boundary_at) - boundary_at);
  EXPECT_GE(boundary.size(), 32u);
  EXPECT_THAT(body, StartsWith("--" + boundary + "\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"));
  EXPECT_THAT(body, EndsWith("Content-Type: application/json\r\n\r\n" + content + "\r\n--" + boundary + "--\r\n"));
  EXPECT_THAT(seen, HasSubstr("Content-Length: " + std::to_string(body.size()) + "\r\n"));
  EXPECT_EQ(beyond, "");
}

TEST_F(HttpUploadTest, SendsAnEmptyFile) {
  const auto file = dir_.write("in.jsonl", "");
  const ScriptedServer server([](Peer& peer, int) {
    peer.read_request();
    peer.write(ok_answer);
  });
  EXPECT_TRUE(send(server, upload_of(file)));
}

TEST_F(HttpUploadTest, KnowsThatNothingWasSentWhenTheFileIsMissing) {
  const ScriptedServer server([](Peer&, int) {});
  const HttpResult result = send(server, upload_of(dir_.path() / "absent.jsonl"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().phase, HttpError::Phase::not_sent);
  EXPECT_THAT(result.error().message, HasSubstr("absent.jsonl': No such file"));
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(HttpUploadTest, HearsARefusalThatComesBeforeTheFileWasSent) {
  const auto file = dir_.path() / "large.jsonl";
  std::ofstream(file).put('x');
  std::filesystem::resize_file(file, 64'000'000);
  const ScriptedServer server([](Peer& peer, int) {
    peer.read(1000);
    peer.write("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnope");
  });
  const HttpResult result = send(server, upload_of(file));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->status, 401);
}

TEST_F(HttpUploadTest, CallsAnUploadCutHalfWayUnknown) {
  const auto file = dir_.path() / "large.jsonl";
  std::ofstream(file).put('x');
  std::filesystem::resize_file(file, 64'000'000);
  const ScriptedServer server([](Peer& peer, int) {
    peer.read(1000);
    peer.reset_on_close();
  });
  const HttpResult result = send(server, upload_of(file));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().phase, HttpError::Phase::unknown);
}

TEST_F(HttpUploadTest, GivesUpOnAServerThatStopsReading) {
  const auto file = dir_.path() / "large.jsonl";
  std::ofstream(file).put('x');
  std::filesystem::resize_file(file, 64'000'000);
  std::atomic<bool> release{false};
  const ScriptedServer server([&](Peer& peer, int) {
    peer.read(1000);
    while (!release) std::this_thread::yield();
  });
  HttpClientOptions options;
  options.idle_timeout = std::chrono::milliseconds(200);
  const HttpResult result = send(server, upload_of(file), options);
  release = true;
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("timed out"));
}

TEST_F(HttpUploadTest, SendsAHundredMegabytesInFlatMemory) {
  const auto file = dir_.path() / "large.jsonl";
  std::ofstream(file).put('x');
  std::filesystem::resize_file(file, 100'000'000);
  std::atomic<std::uint64_t> received{0};
  const ScriptedServer server([&](Peer& peer, int) {
    std::string tail;
    while (!tail.ends_with("--\r\n")) {
      const std::string piece = peer.read(256 * 1024);
      if (piece.empty()) return;
      received += piece.size();
      tail = piece.substr(piece.size() - std::min<std::size_t>(piece.size(), 4));
    }
    peer.write(ok_answer);
  });
  std::ofstream("/proc/self/clear_refs") << "5";  // restarts the peak that VmHWM reports
  const long before = memory_kib("VmRSS");
  const HttpResult result = send(server, upload_of(file));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_GT(received, 100'000'000u);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(memory_kib("VmHWM") - before, 8 * 1024);
#endif
}

}  // namespace
}  // namespace batchd::testing
