import asyncio

from arq import create_pool, func
from arq.connections import RedisSettings

import setting

# Two lines per task are no part of the work.
SILENT = {"version": 1}

REDIS = RedisSettings.from_dsn(setting.REDIS)


async def noop(ctx):
    return None


class WorkerSettings:
    functions = [func(noop, name="noop")]
    queue_name = setting.QUEUE
    redis_settings = REDIS
    max_jobs = setting.CONCURRENCY
    # At its default of half a second, between polls of five times `max_jobs`, it would mostly sleep.
    poll_delay = 0.01
    keep_result = setting.RESULT_SECONDS


async def main():
    pool = await create_pool(REDIS, default_queue_name=setting.QUEUE)
    await setting.submit_together(lambda: pool.enqueue_job("noop"))
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(main())
