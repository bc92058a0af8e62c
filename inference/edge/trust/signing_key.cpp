#include "inference/edge/trust/signing_key.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <vector>

#include "core/atomic_file.hpp"
#include "core/checksum.hpp"
#include "core/durable_folder.hpp"
#include "core/error.hpp"
#include "core/json_reader.hpp"
#include "inference/edge/trust/canonical_json.hpp"

namespace zonda::edge {
namespace {

using nlohmann::json;

void start_sodium() {
  if (sodium_init() < 0) fail(ErrorKind::failure, "libsodium does not start");
}

std::string to_hexadecimal(std::span<const unsigned char> bytes) {
  std::string text(2 * bytes.size() + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), bytes.data(), bytes.size());
  text.pop_back();
  return text;
}

/// False unless `text` is exactly as many lower-case digits as fill `bytes`.
bool from_hexadecimal(std::string_view text, std::span<unsigned char> bytes) {
  std::size_t size = 0;
  return text.size() == 2 * bytes.size() && text.find_first_not_of("0123456789abcdef") == std::string_view::npos &&
         sodium_hex2bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &size, nullptr) == 0 &&
         size == bytes.size();
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

/// The key of a sealed box from a passphrase.
std::array<unsigned char, crypto_secretbox_KEYBYTES> stretched(std::string_view passphrase,
                                                               std::span<unsigned char> salt) {
  std::array<unsigned char, crypto_secretbox_KEYBYTES> key{};
  if (crypto_pwhash(key.data(), key.size(), passphrase.data(), passphrase.size(), salt.data(),
                    crypto_pwhash_OPSLIMIT_INTERACTIVE, crypto_pwhash_MEMLIMIT_INTERACTIVE,
                    crypto_pwhash_ALG_ARGON2ID13) != 0)
    fail(ErrorKind::failure, "out of memory for a key's passphrase");
  return key;
}

}  // namespace

PublicKey::PublicKey(const std::string& hexadecimal) : hexadecimal_(hexadecimal) {
  std::array<unsigned char, crypto_sign_PUBLICKEYBYTES> bytes{};
  if (!from_hexadecimal(hexadecimal, bytes))
    fail(ErrorKind::data, "an ed25519 key has {} lower-case hexadecimal digits", 2 * bytes.size());
  id_ = sha256(canonical_json(to_json()));
}

PublicKey PublicKey::from_json(const json& value, const std::string& name) {
  const JsonReader key(value, name);
  if (key.text("keytype") != "ed25519" || key.text("scheme") != "ed25519")
    fail(ErrorKind::data, "{}: expected an ed25519 key, found {} {}", name, key.text("keytype"), key.text("scheme"));
  return PublicKey(key.object("keyval").hexadecimal("public", 64));
}

json PublicKey::to_json() const {
  return {{"keytype", "ed25519"}, {"scheme", "ed25519"}, {"keyval", {{"public", hexadecimal_}}}};
}

bool PublicKey::verifies(std::string_view message, std::string_view signature) const {
  std::array<unsigned char, crypto_sign_BYTES> bytes{};
  std::array<unsigned char, crypto_sign_PUBLICKEYBYTES> key{};
  return from_hexadecimal(signature, bytes) && from_hexadecimal(hexadecimal_, key) &&
         crypto_sign_verify_detached(bytes.data(), bytes_of(message), message.size(), key.data()) == 0;
}

SecretKey SecretKey::generate() {
  start_sodium();
  std::string seed(crypto_sign_SEEDBYTES, '\0');
  randombytes_buf(seed.data(), seed.size());
  SecretKey key = from_seed(seed);
  sodium_memzero(seed.data(), seed.size());
  return key;
}

SecretKey SecretKey::from_seed(std::string_view seed) {
  start_sodium();
  if (seed.size() != crypto_sign_SEEDBYTES)
    fail(ErrorKind::usage, "a key's seed has {} bytes, not {}", crypto_sign_SEEDBYTES, seed.size());
  std::array<unsigned char, 64> secret{};
  static_assert(crypto_sign_SECRETKEYBYTES == 64);
  std::array<unsigned char, crypto_sign_PUBLICKEYBYTES> open{};
  crypto_sign_seed_keypair(open.data(), secret.data(), bytes_of(seed));
  return {secret, PublicKey(to_hexadecimal(open))};
}

SecretKey::~SecretKey() {
  sodium_memzero(secret_.data(), secret_.size());
}

std::string SecretKey::sign(std::string_view message) const {
  std::array<unsigned char, crypto_sign_BYTES> signature{};
  crypto_sign_detached(signature.data(), nullptr, bytes_of(message), message.size(), secret_.data());
  return to_hexadecimal(signature);
}

void SecretKey::write(const std::filesystem::path& path, std::string_view passphrase) const {
  json file = public_.to_json();
  const auto seed = std::span(secret_).first<crypto_sign_SEEDBYTES>();
  if (passphrase.empty()) {
    file["secret"] = to_hexadecimal(seed);
  } else {
    std::array<unsigned char, crypto_pwhash_SALTBYTES> salt{};
    std::array<unsigned char, crypto_secretbox_NONCEBYTES> nonce{};
    randombytes_buf(salt.data(), salt.size());
    randombytes_buf(nonce.data(), nonce.size());
    std::vector<unsigned char> box(seed.size() + crypto_secretbox_MACBYTES);
    crypto_secretbox_easy(box.data(), seed.data(), seed.size(), nonce.data(), stretched(passphrase, salt).data());
    file["sealed"] = {{"kdf", "argon2id13-interactive"},
                      {"salt", to_hexadecimal(salt)},
                      {"nonce", to_hexadecimal(nonce)},
                      {"box", to_hexadecimal(box)}};
  }
  const std::filesystem::path folder = path.parent_path().empty() ? "." : path.parent_path();
  create_durable_folder(folder);
  const std::string text = file.dump(2) + "\n";
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (descriptor < 0)
    fail(errno == EEXIST ? ErrorKind::usage : ErrorKind::failure, "{}: the key cannot be written: {}", path.string(),
         std::strerror(errno));
  const bool whole = ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const bool synced = ::fsync(descriptor) == 0;
  ::close(descriptor);
  if (!whole || !synced) fail(ErrorKind::failure, "{}: the key cannot be written", path.string());
  sync_path(folder);
}

SecretKey SecretKey::read(const std::filesystem::path& path, std::string_view passphrase) {
  start_sodium();
  const std::string name = path.string();
  const std::string text = read_file(path);
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    fail(ErrorKind::usage, "{}: others may read this key; `chmod 600` it", name);
  const json parsed = parse_json(text, name, 8);
  const JsonReader file(parsed, name);
  std::string seed(crypto_sign_SEEDBYTES, '\0');
  const std::span<unsigned char> bytes(reinterpret_cast<unsigned char*>(seed.data()), seed.size());
  if (file.has("sealed")) {
    if (passphrase.empty()) fail(ErrorKind::usage, "{}: needs its passphrase", name);
    const JsonReader sealed = file.object("sealed");
    std::array<unsigned char, crypto_pwhash_SALTBYTES> salt{};
    std::array<unsigned char, crypto_secretbox_NONCEBYTES> nonce{};
    std::array<unsigned char, crypto_sign_SEEDBYTES + crypto_secretbox_MACBYTES> box{};
    if (!from_hexadecimal(sealed.text("salt"), salt) || !from_hexadecimal(sealed.text("nonce"), nonce) ||
        !from_hexadecimal(sealed.text("box"), box))
      fail(ErrorKind::data, "{}: the sealed key is damaged", name);
    if (crypto_secretbox_open_easy(bytes.data(), box.data(), box.size(), nonce.data(),
                                   stretched(passphrase, salt).data()) != 0)
      fail(ErrorKind::usage, "{}: not the passphrase of this key", name);
  } else if (!from_hexadecimal(file.text("secret"), bytes)) {
    fail(ErrorKind::data, "{}: the key is damaged", name);
  }
  SecretKey key = from_seed(seed);
  sodium_memzero(seed.data(), seed.size());
  if (key.public_key() != PublicKey::from_json(parsed, name))
    fail(ErrorKind::data, "{}: the secret and the public half do not belong together", name);
  return key;
}

}  // namespace zonda::edge
