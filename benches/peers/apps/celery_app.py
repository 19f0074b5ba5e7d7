from celery import Celery
from kombu import Queue

import setting

app = Celery("peers", broker=setting.AMQP, backend=setting.REDIS)
app.conf.update(
    task_queues=[Queue(setting.QUEUE, durable=True)],
    task_default_queue=setting.QUEUE,
    result_expires=setting.RESULT_SECONDS,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
)
if setting.CAREFUL:
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        broker_transport_options={"confirm_publish": True},
    )


@app.task(name="noop")
def noop():
    return None


if __name__ == "__main__":
    noop.delay().forget()  # Connects and declares, as the first publish of a process does.
    app.backend.client.ping()
    setting.submit(noop.delay)
