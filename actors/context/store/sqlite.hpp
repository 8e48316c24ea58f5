#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <troupe/messages/error.hpp>

struct sqlite3;
struct sqlite3_stmt;

namespace troupe {

/// A prepared SQL statement. Parameters and columns count as in SQLite: parameters from 1, columns
/// from 0. Keeps its database open.
class sqlite_statement {
public:
  /// Text and binary are bound without a copy: they must live until the next `step` or `run` is
  /// done.
  sqlite_statement& bind(int parameter, std::int64_t number);
  sqlite_statement& bind_blob(int parameter, std::string_view bytes);
  sqlite_statement& bind_text(int parameter, std::string_view text);

  /// Goes to the next row; false when there is none, and then the statement can be used again.
  result<bool> step();
  /// Executes a statement without rows.
  result<void> run();
  /// Gives up the remaining rows.
  void reset() noexcept;

  std::int64_t integer(int column) const noexcept;
  /// A view that is valid until the next call on this statement.
  std::string_view blob(int column) const noexcept;

private:
  friend class sqlite_database;
  struct finalizer {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };
  std::unique_ptr<sqlite3_stmt, finalizer> statement_;
};

/// A connection to one SQLite file; its failures come out as results. Belongs to one thread at a
/// time.
class sqlite_database {
public:
  /// Opens a file that exists; an empty one becomes a database with the first write.
  static result<sqlite_database> open(const std::string& file);

  /// Executes one or more statements and ignores their rows.
  result<void> execute(const std::string& sql);
  result<sqlite_statement> prepare(std::string_view sql);
  /// The first column of the first row as a number.
  result<std::int64_t> number(std::string_view sql);
  /// The first column of the first row as text.
  result<std::string> text(std::string_view sql);

  /// Runs `body` as one transaction: all of it happens, durably as the settings say, or nothing.
  template <class Body>
  result<void> transact(Body&& body) {
    if (auto begun = execute("BEGIN IMMEDIATE"); !begun) return begun;
    result<void> done = body();
    if (done) done = execute("COMMIT");
    if (!done) roll_back();
    return done;
  }

private:
  struct closer {
    void operator()(sqlite3* database) const noexcept;
  };
  void roll_back() noexcept;

  std::unique_ptr<sqlite3, closer> database_;
};

}  // namespace troupe
