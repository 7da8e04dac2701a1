/* sortlines: sorts the lines of the named files, or of standard input.
 *
 *   sortlines [-n] [-r] [-u] [FILE...]
 *
 * -n compares leading numbers, -r reverses, -u keeps one of equal lines. A file that cannot be read is named on
 * standard error and makes the exit code 1; a misused option makes it 2.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int numeric, reverse, unique;

static char **lines;
static size_t count, room;

static void *grown(void *old, size_t size)
{
    void *new = realloc(old, size);
    if (!new) {
        fputs("sortlines: out of memory\n", stderr);
        exit(3);
    }
    return new;
}

static void add_line(char *line)
{
    if (count == room) {
        room = room ? room * 2 : 1024;
        lines = grown(lines, room * sizeof *lines);
    }
    lines[count++] = line;
}

/* The next line without its newline, or NULL at the end of the file. */
static char *read_line(FILE *file)
{
    char *line = NULL;
    size_t used = 0, size = 0;
    int c;

    while ((c = getc(file)) != EOF) {
        if (used + 1 >= size)
            line = grown(line, size = size ? size * 2 : 80);
        if (c == '\n')
            break;
        line[used++] = (char)c;
    }
    if (c == EOF && used == 0) {
        free(line);
        return NULL;
    }
    line[used] = '\0';
    return line;
}

static void read_lines(FILE *file)
{
    char *line;

    while ((line = read_line(file)))
        add_line(line);
}

static int compare(const void *a, const void *b)
{
    const char *left = *(char *const *)a, *right = *(char *const *)b;
    int order = 0;

    if (numeric) {
        double x = strtod(left, NULL), y = strtod(right, NULL);
        order = (x > y) - (x < y);
    }
    if (!order)
        order = strcmp(left, right);
    return reverse ? -order : order;
}

int main(int argc, char **argv)
{
    int status = 0, first = 1;

    for (; first < argc && argv[first][0] == '-' && argv[first][1]; first++) {
        for (const char *option = argv[first] + 1; *option; option++) {
            switch (*option) {
            case 'n': numeric = 1; break;
            case 'r': reverse = 1; break;
            case 'u': unique = 1; break;
            default:
                fprintf(stderr, "sortlines: unknown option -%c\n", *option);
                return 2;
            }
        }
    }

    if (first == argc)
        read_lines(stdin);
    for (int i = first; i < argc; i++) {
        FILE *file = fopen(argv[i], "r");
        if (!file) {
            fprintf(stderr, "sortlines: %s: %s\n", argv[i], strerror(errno));
            status = 1;
            continue;
        }
        read_lines(file);
        fclose(file);
    }

    qsort(lines, count, sizeof *lines, compare);
    for (size_t i = 0; i < count; i++)
        if (!unique || i == 0 || strcmp(lines[i], lines[i - 1]) != 0)
            if (puts(lines[i]) == EOF) {
                fprintf(stderr, "sortlines: standard output: %s\n", strerror(errno));
                return 1;
            }
    return status;
}
