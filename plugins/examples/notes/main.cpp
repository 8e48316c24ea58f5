#include <troupe/plugins/examples/notes/notes.hpp>

int main() { return troupe::examples::notes_plugin().run(); }
