/* Stands for the embedded engine in the image's tests: a library that needs another one. */
#include <math.h>

int square(int x) { return (int)pow(x, 2); }
