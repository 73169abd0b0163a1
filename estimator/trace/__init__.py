"""From a user's torch program to a job, without a GPU (``docs/job.md``).

The program runs unmodified in a process of its own (``child``), as its ``__main__``. What it keeps
on the CPU is real; what it moves to the GPU has shapes and no values (torch's FakeTensor), on a
CUDA device that torch takes for one (``pretend``). Every operation passes ``recorder``, which notes
what a GPU would have had to do; ``window`` says which of the program's steps is the one that
counts.
"""
