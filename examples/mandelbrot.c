/* mandelbrot.c - a picture of the Mandelbrot set: starmap over the rows.
 *
 * SPDX-License-Identifier: MIT
 *
 *     ./mandelbrot -o mandelbrot.png
 *     ./mandelbrot -x -0.743643 -y 0.131826 -s 0.0005 -i 2000 -o spiral.png
 *
 * How long a row takes differs a hundredfold: rows through the set go through all iterations for most pixels. So the
 * library's small last chunks matter. A row of pixels is one result, whose size is known only when the program runs:
 * therefore the function is described by a struct, and not by one of the macros. The results are the picture. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <mppool.h>
#include <png.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SIZE = 20000, MAX_ITERATIONS = 1000000, MAX_WORKERS = 4096, EXIT_USAGE = 2 };

struct view {
	double x, y;                     /* the middle */
	double scale;                    /* the height of the picture */
	size_t width, height;            /* in pixels */
	int iterations;
};

struct pixel {
	unsigned char red, green, blue;
};

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "mandelbrot: %s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

/* ------------------------------------------------------------------------------------------------------- the tasks */

/* The number of steps of z * z + c before z is outside a circle of radius 16, and how far outside: 0 to 1. */
static int escape(double cx, double cy, int iterations, double *ret_fraction)
{
	double x = 0.0, y = 0.0, x2 = 0.0, y2 = 0.0;
	int i;

	for (i = 0; i < iterations && x2 + y2 <= 256.0; i++) {
		y = 2.0 * x * y + cy;
		x = x2 - y2 + cx;
		x2 = x * x;
		y2 = y * y;
	}
	*ret_fraction = i < iterations ? 1.0 - log2(log2(x2 + y2) / 8.0) : 0.0;
	return i;
}

static unsigned char shade(double phase)
{
	return (unsigned char)lround(255.0 * (0.5 - 0.5 * cos(phase)));
}

static struct pixel colour(double steps)
{
	const double t = 1.3 * log(steps > 1.0 ? steps : 1.0);

	return (struct pixel){shade(t - 1.4), shade(t - 0.8), shade(t)};
}

static double column_x(const struct view *view, size_t column)
{
	return view->x + ((double)column + 0.5 - (double)view->width / 2.0) * view->scale / (double)view->height;
}

static double row_y(const struct view *view, size_t row)
{
	return view->y - ((double)row + 0.5 - (double)view->height / 2.0) * view->scale / (double)view->height;
}

/* One item: the arguments are the number of the row and the view, the result is the row's pixels. */
static int draw_row(const void *const args[], void *result, void *context)
{
	const size_t row = *(const size_t *)args[0];
	const struct view *view = args[1];
	struct pixel *pixels = result;

	(void)context;
	for (size_t column = 0; column < view->width; column++) {
		double fraction;
		const int steps = escape(column_x(view, column), row_y(view, row), view->iterations, &fraction);

		pixels[column] = steps < view->iterations ? colour(steps + fraction) : (struct pixel){0, 0, 0};
	}
	return 0;
}

/* The same for the plain numbers of steps. */
static int count_row(const void *const args[], void *result, void *context)
{
	const size_t row = *(const size_t *)args[0];
	const struct view *view = args[1];
	int *steps = result;
	double fraction;

	(void)context;
	for (size_t column = 0; column < view->width; column++)
		steps[column] = escape(column_x(view, column), row_y(view, row), view->iterations, &fraction);
	return 0;
}

/* All rows, each by a call of the function, one after the other in memory, to be freed. */
static void *draw(const struct view *view, mppool_item_call *call, size_t pixel_size, int workers)
{
	const struct mppool_func row_task = {
		.size = sizeof row_task,
		.call = call,
		.nargs = 2,
		.arg_size = {sizeof(size_t), sizeof *view},
		.result_size = view->width * pixel_size,
		.name = "row",
	};
	size_t *rows = calloc(view->height, sizeof *rows);
	void *pixels = malloc(view->height * row_task.result_size);
	mppool *pool;

	check(rows && pixels ? 0 : ENOMEM, "the picture");
	for (size_t i = 0; i < view->height; i++)
		rows[i] = i;
	check(mppool_create(MPPOOL_OPTIONS(.workers = workers, .name = "mandelbrot"), &pool), "mppool_create");
	check(mppool_starmap(pool, &row_task, MPPOOL_ZIP(view->height, MPPOOL_COLUMN(rows), MPPOOL_REPEAT(view)),
	                     pixels, 0),
	      "mppool_starmap");
	check(mppool_destroy(pool), "mppool_destroy");
	free(rows);
	return pixels;
}

/* ------------------------------------------------------------------------------------------------------ the output */

static void write_png(const struct view *view, const char *name, int workers)
{
	struct pixel *pixels = draw(view, draw_row, sizeof *pixels, workers);
	png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGB};

	image.width = (png_uint_32)view->width;
	image.height = (png_uint_32)view->height;
	if (!png_image_write_to_file(&image, name, 0, pixels, 0, NULL)) {
		fprintf(stderr, "mandelbrot: %s: %s\n", name, image.message);
		exit(EXIT_FAILURE);
	}
	free(pixels);
}

/* A grey map in plain text: the numbers of steps. */
static void write_text(const struct view *view, int workers)
{
	int *steps = draw(view, count_row, sizeof *steps, workers);

	printf("P2\n%zu %zu\n%d\n", view->width, view->height, view->iterations);
	for (size_t i = 0; i < view->width * view->height; i++)
		printf("%d%c", steps[i], (i + 1) % view->width ? ' ' : '\n');
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	free(steps);
}

static void usage(FILE *to)
{
	fputs("Usage: mandelbrot [OPTION]...\n"
	      "Draw the Mandelbrot set.\n"
	      "\n"
	      "  -o FILE      the picture, a PNG; without it the numbers of steps are printed as a plain PGM\n"
	      "  -W WIDTH     in pixels; the default is 900\n"
	      "  -H HEIGHT    in pixels; the default is 600\n"
	      "  -x X, -y Y   the middle; the default is -0.5, 0\n"
	      "  -s SCALE     the height in the plane; the default is 2.4\n"
	      "  -i STEPS     most steps of a point; the default is 500\n"
	      "  -p WORKERS   worker threads; the default is one per CPU\n"
	      "  -h, --help   show this help\n",
	      to);
}

static double parse_number(int option, const char *text, double min, double max)
{
	char *end;
	const double value = strtod(text, &end);

	if (end == text || *end || !(value >= min && value <= max)) {
		fprintf(stderr, "mandelbrot: -%c takes a number from %g to %g\n", option, min, max);
		exit(EXIT_USAGE);
	}
	return value;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct view view = {.x = -0.5, .scale = 2.4, .width = 900, .height = 600, .iterations = 500};
	const char *name = NULL;
	int workers = 0;
	int option;

	while ((option = getopt_long(argc, argv, "H:W:hi:o:p:s:x:y:", long_options, NULL)) != -1) {
		switch (option) {
		case 'H': view.height = (size_t)parse_number('H', optarg, 1, MAX_SIZE); break;
		case 'W': view.width = (size_t)parse_number('W', optarg, 1, MAX_SIZE); break;
		case 'i': view.iterations = (int)parse_number('i', optarg, 1, MAX_ITERATIONS); break;
		case 'o': name = optarg; break;
		case 'p': workers = (int)parse_number('p', optarg, 1, MAX_WORKERS); break;
		case 's': view.scale = parse_number('s', optarg, 1e-13, 100); break;
		case 'x': view.x = parse_number('x', optarg, -10, 10); break;
		case 'y': view.y = parse_number('y', optarg, -10, 10); break;
		case 'h': usage(stdout); return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
		default: usage(stderr); return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (name)
		write_png(&view, name, workers);
	else
		write_text(&view, workers);
	return EXIT_SUCCESS;
}
