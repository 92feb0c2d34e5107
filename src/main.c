#include <stdio.h>

int main(void)
{
    puts("ollama2openai " O2O_VERSION);
    return 0;
}
