#pragma once
// Ed25519 keys (RFC 8032, by libsodium), named as TUF names them: SHA-256 of the key's canonical JSON.
#include <array>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace zonda::edge {

class PublicKey {
 public:
  /// 64 hexadecimal digits. Throws Error(data).
  explicit PublicKey(const std::string& hexadecimal);
  /// TUF's form: {keytype, scheme, keyval: {public}}. Throws Error(data) for another kind of key.
  static PublicKey from_json(const nlohmann::json& value, const std::string& name);
  nlohmann::json to_json() const;
  const std::string& hexadecimal() const { return hexadecimal_; }
  const std::string& id() const { return id_; }
  /// `signature`: 128 hexadecimal digits.
  bool verifies(std::string_view message, std::string_view signature) const;
  friend bool operator==(const PublicKey& a, const PublicKey& b) { return a.hexadecimal_ == b.hexadecimal_; }

 private:
  std::string hexadecimal_, id_;
};

/// Wiped from memory when it goes.
class SecretKey {
 public:
  static SecretKey generate();
  /// From 32 bytes: the same seed gives the same key.
  static SecretKey from_seed(std::string_view seed);
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  ~SecretKey();

  const PublicKey& public_key() const { return public_; }
  /// 128 hexadecimal digits.
  std::string sign(std::string_view message) const;

  /// A file that only its owner may read. With a passphrase the key in it is sealed (Argon2id, XSalsa20-Poly1305).
  /// Throws Error(failure), Error(usage) where the file is there already.
  void write(const std::filesystem::path& path, std::string_view passphrase = {}) const;
  /// Throws Error(data); Error(usage) where the passphrase is missing or wrong, or others may read the file.
  static SecretKey read(const std::filesystem::path& path, std::string_view passphrase = {});

 private:
  SecretKey(const std::array<unsigned char, 64>& secret, PublicKey key) : secret_(secret), public_(std::move(key)) {}
  std::array<unsigned char, 64> secret_;
  PublicKey public_;
};

}  // namespace zonda::edge
