import django.core.validators
import django.db.models.deletion
import django_future.models.fields
import django_future.models.indexes
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [
        migrations.CreateModel(
            name='ScheduledJob',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('callable_name', django_future.models.fields.KeyField(max_length=255, verbose_name='callable')),
                ('args', django_future.models.fields.StoredField(default=list, verbose_name='arguments')),
                ('kwargs', django_future.models.fields.StoredField(default=dict, verbose_name='keyword arguments')),
                ('object_id', django_future.models.fields.KeyField(blank=True, max_length=255, null=True, verbose_name='object id')),
                ('object_database', django_future.models.fields.KeyField(blank=True, max_length=100, null=True, verbose_name='object database')),
                ('status', models.CharField(choices=[('scheduled', 'scheduled'), ('running', 'running'), ('complete', 'complete'), ('failed', 'failed'), ('expired', 'expired'), ('cancelled', 'cancelled'), ('parked', 'parked')], default='scheduled', max_length=10, verbose_name='status')),
                ('scheduled_at', django_future.models.fields.InstantField(verbose_name='scheduled at')),
                ('first_due_at', django_future.models.fields.InstantField(blank=True, help_text='The first time for which the job was scheduled, if a retry has moved it.', null=True, verbose_name='first due at')),
                ('expires_at', django_future.models.fields.InstantField(blank=True, help_text='After this time, the job does not start.', null=True, verbose_name='expires at')),
                ('queue_name', django_future.models.fields.KeyField(default='default', max_length=100, verbose_name='queue')),
                ('priority', models.SmallIntegerField(default=0, help_text='Of the due jobs, those with the highest priority start first.', validators=[django.core.validators.MinValueValidator(-100), django.core.validators.MaxValueValidator(100)], verbose_name='priority')),
                ('attempts', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('max_attempts', models.PositiveIntegerField(default=1, help_text='How many attempts may fail before the job fails.', verbose_name='maximum attempts')),
                ('rescues', models.PositiveIntegerField(default=0, help_text='How often the job was rescued after its worker was lost.', verbose_name='rescues')),
                ('is_rescuable', models.BooleanField(default=True, help_text='Whether the job is scheduled again if its worker is lost while it runs.', verbose_name='may be rescued')),
                ('unique_key', django_future.models.fields.KeyField(blank=True, help_text='No other scheduled or running job of the same callable has this key.', max_length=200, null=True, verbose_name='unique key')),
                ('options', django_future.models.fields.StoredField(blank=True, help_text='Options of this job that differ from those of its handler.', null=True, verbose_name='options')),
                ('signature', django_future.models.fields.SignatureField(blank=True, default='', help_text='Proves that code scheduled the job. Without it, the job does not run.', max_length=22, verbose_name='signature')),
                ('worker', django_future.models.fields.KeyField(blank=True, default='', max_length=100, verbose_name='worker')),
                ('lease', models.PositiveBigIntegerField(default=0, help_text='Each claim raises it. Only the worker with the current lease can record the end.', verbose_name='lease')),
                ('created_at', django_future.models.fields.InstantField(auto_now_add=True, verbose_name='created at')),
                ('started_at', django_future.models.fields.InstantField(blank=True, null=True, verbose_name='started at')),
                ('finished_at', django_future.models.fields.InstantField(blank=True, null=True, verbose_name='finished at')),
                ('return_value', django_future.models.fields.StoredField(blank=True, null=True, verbose_name='return value')),
                ('error', models.TextField(blank=True, default='', verbose_name='error')),
                ('content_type', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='contenttypes.contenttype')),
            ],
            options={
                'base_manager_name': 'objects',
                'verbose_name': 'scheduled job',
                'verbose_name_plural': 'scheduled jobs',
                'permissions': [('operate_scheduledjob', 'Can cancel and retry jobs, and pause queues')],
            },
        ),
        migrations.CreateModel(
            name='PausedQueue',
            fields=[
                ('queue_name', django_future.models.fields.KeyField(max_length=100, primary_key=True, serialize=False, verbose_name='queue')),
                ('reason', models.CharField(blank=True, default='', max_length=255, verbose_name='reason')),
                ('paused_at', django_future.models.fields.InstantField(verbose_name='paused at')),
            ],
            options={
                'base_manager_name': 'objects',
                'verbose_name': 'paused queue',
                'verbose_name_plural': 'paused queues',
            },
        ),
        migrations.CreateModel(
            name='Worker',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', django_future.models.fields.KeyField(max_length=100, unique=True, verbose_name='name')),
                ('host', models.CharField(max_length=255, verbose_name='host')),
                ('pid', models.PositiveIntegerField(verbose_name='process id')),
                ('queues', django_future.models.fields.StoredField(default=dict, help_text='The queues that the worker serves, and those it excludes.', verbose_name='queues')),
                ('version', models.CharField(default='', max_length=20, verbose_name='version')),
                ('sessions', django_future.models.fields.StoredField(default=list, help_text='Its database sessions, as the server identifies them.', verbose_name='sessions')),
                ('started_at', django_future.models.fields.InstantField(verbose_name='started at')),
                ('seen_at', django_future.models.fields.InstantField(verbose_name='last seen at')),
            ],
            options={
                'base_manager_name': 'objects',
                'verbose_name': 'worker',
                'verbose_name_plural': 'workers',
            },
        ),
        migrations.CreateModel(
            name='JobProgress',
            fields=[
                ('job', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='current_progress', serialize=False, to='django_future.scheduledjob')),
                ('done', models.BigIntegerField(blank=True, null=True, verbose_name='done')),
                ('total', models.BigIntegerField(blank=True, null=True, verbose_name='total')),
                ('message', models.CharField(blank=True, default='', max_length=255, verbose_name='message')),
                ('log', models.TextField(blank=True, default='', verbose_name='log')),
                ('updated_at', django_future.models.fields.InstantField(verbose_name='updated at')),
            ],
            options={
                'base_manager_name': 'objects',
                'verbose_name': 'progress',
                'verbose_name_plural': 'progress of jobs',
            },
        ),
        migrations.CreateModel(
            name='JobAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField(verbose_name='attempt')),
                ('worker', django_future.models.fields.KeyField(max_length=100, verbose_name='worker')),
                ('started_at', django_future.models.fields.InstantField(verbose_name='started at')),
                ('finished_at', django_future.models.fields.InstantField(verbose_name='finished at')),
                ('exception', models.CharField(max_length=255, verbose_name='exception')),
                ('traceback', models.TextField(verbose_name='traceback')),
                ('job', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='failed_attempts', to='django_future.scheduledjob')),
            ],
            options={
                'base_manager_name': 'objects',
                'verbose_name': 'failed attempt',
                'verbose_name_plural': 'failed attempts',
            },
        ),
        migrations.AddIndex(
            model_name='scheduledjob',
            index=django_future.models.indexes.PartialIndex(fields=['-priority', 'scheduled_at', 'id'], is_unique=False, lead=('status',), name='future_job_due', where=models.Q(('status', 'scheduled'))),
        ),
        migrations.AddIndex(
            model_name='scheduledjob',
            index=django_future.models.indexes.PartialIndex(fields=['queue_name', '-priority', 'scheduled_at', 'id'], is_unique=False, lead=('status',), name='future_job_queue', where=models.Q(('status', 'scheduled'))),
        ),
        migrations.AddIndex(
            model_name='scheduledjob',
            index=django_future.models.indexes.PartialIndex(fields=['expires_at'], is_unique=False, lead=('status',), name='future_job_expires', where=models.Q(('status', 'scheduled'))),
        ),
        migrations.AddIndex(
            model_name='scheduledjob',
            index=models.Index(fields=['status', '-id'], name='future_job_status'),
        ),
        migrations.AddIndex(
            model_name='scheduledjob',
            index=django_future.models.indexes.PartialIndex(fields=['content_type', 'object_id'], is_unique=False, lead=(), name='future_job_object', where=models.Q(('object_id__isnull', False))),
        ),
        migrations.AddIndex(
            model_name='scheduledjob',
            index=django_future.models.indexes.PartialIndex(fields=['unique_key', 'callable_name'], is_unique=True, lead=(), name='future_job_unique', where=models.Q(('unique_key__isnull', False))),
        ),
        migrations.AddIndex(
            model_name='scheduledjob',
            index=django_future.models.indexes.PartialIndex(fields=['status', 'finished_at'], is_unique=False, lead=(), name='future_job_finished', where=models.Q(('finished_at__isnull', False))),
        ),
        migrations.AddConstraint(
            model_name='scheduledjob',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['scheduled', 'running', 'complete', 'failed', 'expired', 'cancelled', 'parked'])), name='future_job_status_known'),
        ),
        migrations.AddConstraint(
            model_name='scheduledjob',
            constraint=models.CheckConstraint(condition=models.Q(('priority__range', (-100, 100))), name='future_job_priority_in_range'),
        ),
    ]
