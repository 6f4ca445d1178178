/*
 * What Debian's libstdc++ and libgcc use and musl lacks, so that a libstdc++ for musl can be linked from Debian's archive.
 * On Alpine, the real one is installed.
 */
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

/* Otherwise in crtbeginS.o. */
__attribute__((visibility("hidden"))) void *__dso_handle = &__dso_handle;

char __libc_single_threaded = 0;

unsigned long __getauxval(unsigned long type) { return getauxval(type); }

unsigned arc4random(void) { return rand(); }

size_t __strftime_l(char *out, size_t size, const char *format, const struct tm *time, locale_t locale) {
  return strftime_l(out, size, format, time, locale);
}

/* libgcc_s.so.1 has old versions of these, which musl's linker does not find. */
int __cpu_indicator_init(void) { return 0; }
unsigned __cpu_model[4];

/* Not called by Bun or by the addons. */
void _ZNSi6ignoreEl(void) { abort(); }
void _ZNSt13basic_istreamIwSt11char_traitsIwEE6ignoreEl(void) { abort(); }

/* glibc's struct dl_find_object, by which libgcc finds the unwind table. */
struct found {
  unsigned long long flags;
  void *start, *end, *link_map, *eh_frame;
};

struct search {
  size_t address;
  struct found *found;
};

static int visit(struct dl_phdr_info *info, size_t size, void *argument) {
  struct search *search = argument;
  int is_inside = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = &info->dlpi_phdr[i];
    size_t start = info->dlpi_addr + header->p_vaddr;
    if (header->p_type == PT_LOAD && search->address >= start && search->address < start + header->p_memsz) {
      search->found->start = (void *)start;
      search->found->end = (void *)(start + header->p_memsz);
      is_inside = 1;
    }
    if (header->p_type == PT_GNU_EH_FRAME) search->found->eh_frame = (void *)start;
  }
  return is_inside && search->found->eh_frame;
}

int _dl_find_object(void *address, struct found *found) {
  struct search search = {(size_t)address, found};
  memset(found, 0, sizeof *found);
  return dl_iterate_phdr(visit, &search) ? 0 : -1;
}

/* std::string::_M_replace_cold(), since GCC 13: replaces a part of a string by another part of it. */
void _ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE15_M_replace_coldEPcmPKcmm(void *string, char *p, size_t from, const char *s,
                                                                                  size_t to, size_t rest) {
  char *copy = malloc(to + 1);
  memcpy(copy, s, to);
  if (rest && from != to) memmove(p + to, p + from, rest);
  memcpy(p, copy, to);
  free(copy);
}
