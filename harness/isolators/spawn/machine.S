# long run(const struct step *step, struct failure *failure)
#
# Makes the system calls of a list that ends in execve, with nothing but registers: no memory is written but what
# the steps name, so that a child which shares its parent's memory (CLONE_VM) may go on here after the step that
# forks, while the parent returns that call's answer. `machine.py` holds the assembled bytes and describes a step.
        .globl  run
run:    push    %rbx
        push    %rbp
        mov     %rdi, %rbx              # the step
        mov     %rsi, %rbp              # where a failure is told: its number, the descriptor to write it to
step:   mov     (%rbx), %eax            # what kind of step
        test    $8, %al
        jnz     or
        test    $16, %al
        jnz     unless
        test    $32, %al
        jnz     fail
        mov     16(%rbx), %rdi
        test    $4, %al                 # the first argument is where a number was stored before
        jz      call
        mov     (%rdi), %rdi
call:   mov     8(%rbx), %rax
        mov     24(%rbx), %rsi
        mov     32(%rbx), %rdx
        mov     40(%rbx), %r10
        mov     48(%rbx), %r8
        mov     56(%rbx), %r9
        syscall
        testb   $2, (%rbx)              # forks: the parent, and whoever could not, returns
        jz      answer
        test    %rax, %rax
        jnz     leave
answer: cmp     $-4095, %rax
        jae     error
        mov     64(%rbx), %rcx
        test    %rcx, %rcx
        jz      next
        mov     %rax, (%rcx)            # the answer is needed later
next:   add     $72, %rbx
        jmp     step
or:     mov     16(%rbx), %rcx
        mov     24(%rbx), %rax
        or      %eax, (%rcx)
        jmp     next
unless: mov     16(%rbx), %rcx          # passes over the next step if a stored number is as expected
        mov     (%rcx), %rax
        cmp     24(%rbx), %rax
        jne     next
        add     $72, %rbx
        jmp     next
error:  testb   $1, (%rbx)              # may fail
        jnz     next
        neg     %rax
        jmp     tell
fail:   mov     16(%rbx), %rcx          # fails with a stored number
        mov     (%rcx), %rax
tell:   mov     %rax, (%rbp)
        mov     $1, %eax                # write(failure->descriptor, failure, 8)
        mov     8(%rbp), %rdi
        mov     %rbp, %rsi
        mov     $8, %edx
        syscall
exit:   mov     $60, %eax
        mov     $253, %edi
        syscall
        jmp     exit
leave:  pop     %rbp
        pop     %rbx
        ret
